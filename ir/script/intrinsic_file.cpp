#include "ir/script/intrinsic_file.h"

#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/script/parser.h"
#include "ir/support/text.h"

#include <cstdlib>

namespace temper::script {

Result<void> load_tensor_intrinsics(std::string_view text, const std::string& file) {
  constexpr std::string_view kDescription = "_desc";
  constexpr std::string_view kImplementation = "_impl";
  TEMPER_TRY(module, parse_module(text, file));
  for (const ir::ModuleEntry& item : module->functions) {
    if (!item.name.ends_with(kDescription)) {
      const std::string stem = item.name.ends_with(kImplementation)
                                   ? item.name.substr(0, item.name.size() - kImplementation.size())
                                   : std::string();
      if (stem.empty() || !module->find_prim_func(stem + std::string(kDescription)))
        return Error(ErrorCode::kInvalidArgument,
                     file + ": function " + item.name +
                         " is no part of a tensor intrinsic, which is two functions, NAME_desc and "
                         "NAME_impl");
      continue;
    }
    s_tir::TensorIntrinsic entry;
    entry.name = item.name.substr(0, item.name.size() - kDescription.size());
    entry.description = module->find_prim_func(item.name);
    entry.implementation = module->find_prim_func(entry.name + std::string(kImplementation));
    if (!entry.implementation)
      return Error(ErrorCode::kInvalidArgument, file + ": " + item.name +
                                                    " has no implementation; add " + entry.name +
                                                    std::string(kImplementation));
    const std::string features =
        entry.implementation->attrs.get_string("temper.features").value_or("");
    for (const std::string& feature : split_text(features, ','))
      if (!trim(feature).empty())
        entry.features.emplace_back(trim(feature));
    auto added = s_tir::register_tensor_intrinsic(std::move(entry));
    if (!added)
      return std::move(added).error().with_note("in " + file);
  }
  return {};
}

Result<void> load_tensor_intrinsics() {
  const char* files = std::getenv("TEMPER_INTRINSICS");
  if (files == nullptr)
    return {};
  for (const std::string& file : split_text(files, ':')) {
    if (file.empty())
      continue;
    auto text = read_file(file);
    if (!text)
      return std::move(text).error().with_note("TEMPER_INTRINSICS names it");
    TEMPER_TRY_VOID(load_tensor_intrinsics(*text, file));
  }
  return {};
}

} // namespace temper::script
