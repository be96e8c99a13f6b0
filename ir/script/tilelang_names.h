/// Names of TileLang's language that this one has not, each with the nearest thing that works.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace temper::script {

/// (name after "T.", what is said of it: "T.name " stands before it).
const std::vector<std::pair<std::string, const char*>>& names_of_tilelang();

} // namespace temper::script
