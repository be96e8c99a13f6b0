#include "ir/s_tir/primitive.h"

#include <algorithm>
#include <memory>
#include <unordered_map>

namespace temper::s_tir {

#define TEMPER_PRIMITIVE(name) void register_##name();
#include "ir/s_tir/primitives/primitives.def"
#undef TEMPER_PRIMITIVE

namespace {

struct Registry {
  std::vector<std::unique_ptr<const Primitive>> owned;
  std::vector<const Primitive*> sorted; ///< by name
  std::unordered_map<std::string_view, const Primitive*> by_name;
};

/// Being filled: only while registry() runs its list of files.
Registry* filling = nullptr;

const Registry& registry() {
  static const Registry instance = [] {
    Registry fresh;
    filling = &fresh;
#define TEMPER_PRIMITIVE(name) register_##name();
#include "ir/s_tir/primitives/primitives.def"
#undef TEMPER_PRIMITIVE
    filling = nullptr;
    std::sort(fresh.sorted.begin(), fresh.sorted.end(),
              [](const Primitive* a, const Primitive* b) { return a->name < b->name; });
    return fresh;
  }();
  return instance;
}

} // namespace

void register_primitive(const Primitive& primitive) {
  TEMPER_CHECK(filling != nullptr, "primitives register through primitives.def");
  TEMPER_CHECK(primitive.check != nullptr && primitive.apply != nullptr, primitive.name.c_str());
  const auto* entry =
      filling->owned.emplace_back(std::make_unique<const Primitive>(primitive)).get();
  filling->sorted.push_back(entry);
  const bool fresh = filling->by_name.emplace(entry->name, entry).second;
  TEMPER_CHECK(fresh, "two primitives have one name");
  filling->by_name.emplace(entry->python_name, entry);
}

const Primitive* find_primitive(std::string_view name) {
  const auto& by_name = registry().by_name;
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

std::span<const Primitive* const> all_primitives() { return registry().sorted; }

} // namespace temper::s_tir
