/// Rows as members of JSON objects and back, for dumps.
#pragma once

#include "database/detail/json_text.h"
#include "database/records.h"
#include "ir/support/base64.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::database::detail {

using temper::decode_base64;
using temper::encode_base64;

/// Appends `,"name":value` for each member of the row. Row is one of the structs of records.h that
/// have a table.
template <typename Row> void append_row(std::string& line, const Row& row);
/// Unknown members are ignored; missing ones keep their defaults; a wrong type is an error that
/// names the member.
template <typename Row> Result<Row> row_from_members(const std::vector<JsonMember>& members);

} // namespace temper::database::detail
