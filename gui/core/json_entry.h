/// Entries of JSON objects as the GUI shows them.
#pragma once

#include "gui/core/format.h"
#include "ir/support/json.h"

namespace temper::gui {

/// Empty where there is none, or no text.
inline QString textIn(const Json& json, const char* name) {
  const auto entry = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && entry != json.end() && entry->is_string()
             ? toQString(entry->get<std::string>())
             : QString();
}

} // namespace temper::gui
