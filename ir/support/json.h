/// JSON values: nlohmann-json with insertion order kept, so that what we print is stable.
/// Headers include only this forward declaration's alias when they can; the full header costs 1 s.
#pragma once

#include "ir/support/result.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace temper {

using Json = nlohmann::ordered_json;

/// Parses one JSON value; the error names line and column. Never throws.
Result<Json> parse_json(std::string_view text);

/// The text of that name; empty where there is none, or `json` is no object.
std::string text_at(const Json& json, std::string_view name);

} // namespace temper
