#include "ir/support/json.h"

#include <algorithm>

namespace temper {

Result<Json> parse_json(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const size_t end = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
    const auto head = text.substr(0, end);
    const auto line = 1 + std::count(head.begin(), head.end(), '\n');
    const size_t last_newline = head.rfind('\n');
    const size_t column = end - (last_newline == std::string_view::npos ? 0 : last_newline + 1) + 1;
    return Error(ErrorCode::kCorrupt, "this is not valid JSON at line " + std::to_string(line) +
                                          ", column " + std::to_string(column));
  } catch (const Json::exception& error) {
    // A number beyond double.
    return Error(ErrorCode::kCorrupt, std::string("this is not valid JSON: ") + error.what());
  }
}

std::string text_at(const Json& json, std::string_view name) {
  if (!json.is_object())
    return {};
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

} // namespace temper
