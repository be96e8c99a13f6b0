/// Passwords do not belong into databases, messages or lists of processes. They come in addresses:
/// postgresql://user:password@host/name, postgresql://host/name?password=..., and, where somebody
/// tries it, as host=... user=... password=...
#pragma once

#include <string>
#include <string_view>

namespace temper {

/// The text with the password of every address in it as "***"; all else as it was. Meant for text
/// that is shown or kept: rather too much is hidden than too little.
std::string without_passwords(std::string_view text);

/// Overwrites what `without_passwords` would hide in place, letter by letter: an argument of the
/// process, which every user of the machine can read.
void blot_out_passwords(char* text);

} // namespace temper
