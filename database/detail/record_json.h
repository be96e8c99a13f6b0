/// Rows as JSON objects and back, for dumps.
#pragma once

#include "database/records.h"
#include "ir/support/json.h"

#include <string>
#include <string_view>

namespace temper::database::detail {

std::string encode_base64(std::string_view bytes);
Result<std::string> decode_base64(std::string_view text);

/// The object without its "row" member. Row is one of the structs of records.h that have a table.
template <typename Row> Json row_to_json(const Row& row);
/// Unknown members are ignored; missing ones keep their defaults; a wrong type is an error that
/// names the member.
template <typename Row> Result<Row> row_from_json(const Json& json);

} // namespace temper::database::detail
