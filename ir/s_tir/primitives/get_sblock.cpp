#include "ir/s_tir/primitives/common.h"

#include "ir/support/text.h"

#include <fmt/format.h>

namespace temper::s_tir {
namespace {

void collect(const Stmt& stmt, FunctionRef<void(const BlockRealize&)> found) {
  for_each_child_block(stmt, [&](const BlockRealize& realize) {
    found(realize);
    if (realize->block->init)
      collect(realize->block->init, found);
    collect(realize->block->body, found);
  });
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const std::string& name = *arguments.attrs[0].as_string();
  const std::string& function_name = *arguments.attrs[1].as_string();
  const PrimFunc function = context.module->find_prim_func(function_name);
  if (!function) {
    std::vector<std::string> names;
    for (const ModuleEntry& entry : context.module->functions)
      names.push_back(entry.name);
    return Error(ErrorCode::kNotFound,
                 fmt::format("the module has no function \"{}\"; it has {}", function_name,
                             names.empty() ? "none" : join(names, ", ")));
  }
  std::vector<BlockHandle> matches;
  std::vector<std::string> names;
  collect(function->body, [&](const BlockRealize& realize) {
    names.push_back(realize->block->name);
    if (realize->block->name == name)
      matches.push_back({realize->block->id});
  });
  if (matches.empty()) {
    const std::string nearest = nearest_name(name, names);
    return Error(ErrorCode::kNotFound,
                 fmt::format("function \"{}\" has no block \"{}\"{}; it has {}", function_name,
                             name,
                             nearest.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", nearest),
                             names.empty() ? "none" : join(names, ", ")));
  }
  if (matches.size() > 1)
    return illegal(context, matches[0],
                   fmt::format("function \"{}\" has {} blocks named \"{}\"; a name must be unique "
                               "to be looked up",
                               function_name, matches.size(), name));
  return Applied{.module = context.module, .outputs = {matches[0]}};
}

} // namespace

void register_get_sblock() {
  register_primitive({
      .name = "GetSBlock",
      .python_name = "get_sblock",
      .attrs = {{.name = "name", .kind = ValueKind::kString},
                {.name = "func_name", .kind = ValueKind::kString, .default_value = Value("main")}},
      .outputs = {ValueKind::kBlock},
      .changes_module = false,
      .summary = "The block of that name in the function `func_name`. The name must be unique "
                 "there. \"root\" is the block around a function's body.",
      .check = check_by_applying<apply>,
      .apply = apply,
  });
}

} // namespace temper::s_tir
