/// JSON as text, without building values: dumps hold programs and facts that are JSON already, and
/// must come back byte for byte. A line of a dump is taken apart here into members whose values
/// stay as they are written.
#pragma once

#include "ir/support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::database::detail {

/// True when the text is one JSON object or array, complete, with nothing around it, on one line:
/// it may stand in a line of JSON as it is. Nesting is limited to 500 levels.
bool is_json_container(std::string_view text);

struct JsonMember {
  std::string name;
  std::string_view value; ///< as written; views the line
};

/// The members of one object, in order; kCorrupt when the text is anything else.
Result<std::vector<JsonMember>> scan_json_object(std::string_view line);

/// Appends the text in quotes, escaped. The text is valid UTF-8.
void append_json_string(std::string& out, std::string_view text);
/// The text of a value in quotes; kCorrupt when it is none.
Result<std::string> read_json_string(std::string_view value);

} // namespace temper::database::detail
