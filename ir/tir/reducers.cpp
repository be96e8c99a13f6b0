#include "ir/tir/reducers.h"

#include "ir/pass/rewrite.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace temper::tir {
namespace {

class Resolver {
public:
  Resolver(const Reducers& reducers, FunctionRef<void(const Span&, std::string)> report)
      : reducers_(reducers), report_(report) {}

  Stmt rewrite(const Stmt& stmt) {
    const auto* loop = stmt.as<For>();
    if (loop == nullptr || loop->kind != ForKind::kTileParallel)
      return rebuild(
          stmt, [&](const Stmt& child) { return rewrite(child); },
          [](const Expr& expr) { return expr; });
    std::vector<const For*> nest;
    Stmt body = stmt;
    while (const auto* inner = body.as<For>()) {
      if (inner->kind != ForKind::kTileParallel)
        break;
      nest.push_back(inner);
      body = inner->body;
    }
    parts_.clear();
    body = of_iteration(body, nest, true);
    if (parts_.empty())
      return stmt;
    for (size_t d = nest.size(); d-- > 0;)
      body = change_loop(*nest[d], [&](For& node) { node.body = body; });
    std::vector<Stmt> list;
    for (const Part& part : parts_) {
      list.push_back(make_alloc(part.tile));
      if (part.filled)
        list.push_back(make_tile_call("fill", {whole(part.tile)}, {neutral(part)}));
    }
    list.push_back(body);
    for (const Part& part : parts_)
      reduce(part, list);
    for (const Stmt& one : list)
      if (one->span.line == 0)
        one->span = stmt->span;
    return make_seq(std::move(list));
  }

private:
  /// What the iterations of a nest add to one reducer.
  struct Part {
    Buffer reducer;
    Buffer tile;               ///< an element for each iteration
    std::vector<bool> reduced; ///< its dimensions
    bool filled = false;       ///< before the nest: not every iteration begins with a value
  };

  static BufferRegion whole(const Buffer& buffer) {
    BufferRegion region{buffer, {}};
    for (const Expr& extent : buffer->shape)
      region.region.push_back({make_int(extent->dtype, 0), extent});
    return region;
  }

  Expr neutral(const Part& part) const {
    const DataType type = part.reducer->dtype;
    const std::string& op = reducers_.at(part.reducer.get());
    if (op == "sum")
      return make_const(type, 0);
    if (type.is_floating())
      return make_const(type, (op == "max" ? -1 : 1) * std::numeric_limits<double>::infinity());
    const int64_t largest =
        type.bits >= 64 ? INT64_MAX : (int64_t{1} << (type.bits - (type.is_int() ? 1 : 0))) - 1;
    return make_int(type, op == "min" ? largest : type.is_int() ? -largest - 1 : 0);
  }

  /// What is joined with the reducer in this store; null when it is something else.
  Expr added(const BufferStore& store) const {
    const std::string& op = reducers_.at(store.buffer.get());
    const auto other_of = [&](const auto* node) -> Expr {
      if (node == nullptr)
        return nullptr;
      const auto is_own = [&](const Expr& side) {
        const auto* load = side.template as<BufferLoad>();
        return load != nullptr && load->buffer == store.buffer &&
               std::equal(load->indices.begin(), load->indices.end(), store.indices.begin(),
                          store.indices.end(), [](const Expr& a, const Expr& b) {
                            return a == b || (as_int(a) && as_int(a) == as_int(b));
                          });
      };
      return is_own(node->a) ? node->b : is_own(node->b) ? node->a : nullptr;
    };
    return op == "sum"   ? other_of(store.value.as<Add>())
           : op == "max" ? other_of(store.value.as<Max>())
                         : other_of(store.value.as<Min>());
  }

  /// `always`: each iteration comes here, once.
  Stmt of_iteration(const Stmt& stmt, const std::vector<const For*>& nest, bool always) {
    const auto* store = stmt.as<BufferStore>();
    if (store == nullptr) {
      const bool inside = always && stmt.is<SeqStmt>();
      return rebuild(
          stmt, [&](const Stmt& child) { return of_iteration(child, nest, inside); },
          [](const Expr& expr) { return expr; });
    }
    if (!reducers_.contains(store->buffer.get()))
      return stmt;
    const auto refuse = [&](const std::string& why) {
      report_(stmt->span, store->buffer->name + " is a reducer (T.alloc_reducer): " + why);
      return stmt;
    };
    const Expr value = added(*store);
    std::vector<bool> reduced(nest.size(), true);
    size_t next = 0;
    for (const Expr& index : store->indices) {
      if (as_int(index))
        continue;
      while (next < nest.size() && Expr(nest[next]->loop_var) != index)
        ++next;
      if (next == nest.size())
        return refuse("its indices are variables of the T.Parallel around, in their order");
      reduced[next++] = false;
    }
    if (std::none_of(reduced.begin(), reduced.end(), [](bool is) { return is; }))
      return stmt; // an element for each iteration
    if (!value)
      return refuse("iterations of T.Parallel join it with one value, as " + store->buffer->name +
                    "[i] += x, or T.max of both where op=\"max\"");
    auto part = std::find_if(parts_.begin(), parts_.end(), [&](const Part& known) {
      return known.reducer == store->buffer && known.reduced == reduced;
    });
    const bool first = part == parts_.end();
    if (first) {
      std::vector<Expr> shape;
      for (const For* loop : nest)
        shape.push_back(loop->extent);
      parts_.push_back({store->buffer,
                        make_buffer(store->buffer->name + "_part", store->buffer->dtype,
                                    std::move(shape), "local.fragment"),
                        reduced, !always});
      part = parts_.end() - 1;
    }
    std::vector<Expr> at;
    for (const For* loop : nest)
      at.emplace_back(loop->loop_var);
    const Expr now = make_load(part->tile, at);
    const std::string& op = reducers_.at(store->buffer.get());
    Stmt result = make_store(part->tile, at,
                             first && always ? value
                             : op == "sum"   ? make_binary<Add>(now, value)
                             : op == "max"   ? make_binary<Max>(now, value)
                                             : make_binary<Min>(now, value));
    result->span = stmt->span;
    return result;
  }

  /// One dimension after the other, the last first.
  void reduce(const Part& part, std::vector<Stmt>& list) const {
    const std::string op = "reduce_" + reducers_.at(part.reducer.get());
    Buffer from = part.tile;
    auto left = std::count(part.reduced.begin(), part.reduced.end(), true);
    for (size_t d = part.reduced.size(); d-- > 0;) {
      if (!part.reduced[d])
        continue;
      const bool last = --left == 0;
      Buffer to = part.reducer;
      if (!last) {
        std::vector<Expr> shape = from->shape;
        shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(d));
        to = make_buffer(part.tile->name, from->dtype, std::move(shape), "local.fragment");
        list.push_back(make_alloc(to));
      }
      Annotations options =
          Annotations().with("dim", make_int(DataType::int32(), static_cast<int64_t>(d)));
      if (last)
        options = options.with("clear", make_bool(false));
      list.push_back(make_tile_call(op, {whole(from), whole(to)}, {}, std::move(options)));
      from = to;
    }
  }

  const Reducers& reducers_;
  FunctionRef<void(const Span&, std::string)> report_;
  std::vector<Part> parts_;
};

} // namespace

Stmt resolve_reducers(const Stmt& stmt, const Reducers& reducers,
                      FunctionRef<void(const Span&, std::string)> report) {
  return reducers.empty() ? stmt : Resolver(reducers, report).rewrite(stmt);
}

} // namespace temper::tir
