/// Bytes as text of 64 characters (RFC 4648, with padding).
#pragma once

#include "ir/support/result.h"

#include <string>
#include <string_view>

namespace temper {

std::string encode_base64(std::string_view bytes);
/// kCorrupt for anything that encode_base64() does not write.
Result<std::string> decode_base64(std::string_view text);

} // namespace temper
