/// Which temper this is, for runs and pages: a result can be traced to the sources that made it.
#pragma once

#include <string>

namespace temper::tuner {

/// "0.1.0 (78d661a29c)"; "+" after the commit: with changes. Without a repository only the version.
std::string version_text();

} // namespace temper::tuner
