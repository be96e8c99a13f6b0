#include "ir/node.h"

#include <map>
#include <string>

namespace temper::ir {
namespace {

std::map<std::string, const NodeInfo*, std::less<>>& registry() {
  static std::map<std::string, const NodeInfo*, std::less<>> nodes;
  return nodes;
}

} // namespace

void register_node(const NodeInfo& info) { registry()[info.name] = &info; }

const NodeInfo* find_node_info(std::string_view name) {
  const auto found = registry().find(name);
  return found == registry().end() ? nullptr : found->second;
}

} // namespace temper::ir
