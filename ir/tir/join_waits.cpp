// One wait for copies that follow each other: the latency of memory is paid once for all of them.
//
//   T.ptx_cp_async(A_shared[..], ..)          T.ptx_cp_async(A_shared[..], ..)
//   T.ptx_commit_group(); T.ptx_wait_group(0)   T.ptx_cp_async(B_shared[..], ..)
//   T.ptx_cp_async(B_shared[..], ..)       ->   T.ptx_commit_group(); T.ptx_wait_group(0)
//   T.ptx_commit_group(); T.ptx_wait_group(0)
//
// Between the two waits there must be copies and fences alone; the second wait has all groups done,
// and the fence behind it is for all copies. Where there are such fences a barrier may stand
// between them, too: it stays, and what engines read waits for the one behind the last fence
// anyway.
#include "ir/tir/shared_memory.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/statement_call.h"

#include <algorithm>
#include <utility>

namespace temper::tir {
namespace {

bool waits_for_all(const Stmt& stmt) {
  return is_call(stmt, "ptx_wait_group") && is_int(call_of(stmt)->args[0], 0);
}
bool is_fence(const Stmt& stmt) { return is_call(stmt, "fence_proxy_async"); }

/// Asynchronous copies, in loops and under conditions, whose places follow from numbers alone.
bool is_copies(const Stmt& stmt) {
  if (const auto* loop = stmt.as<For>())
    return is_copies(loop->body);
  if (const auto* branch = stmt.as<IfThenElse>())
    return !branch->else_case && is_copies(branch->then_case);
  if (const auto* seq = stmt.as<SeqStmt>())
    return std::all_of(seq->statements.begin(), seq->statements.end(), is_copies);
  if (!is_call(stmt, "ptx_cp_async"))
    return false;
  int loads = 0; // the two addresses are
  walk(stmt, [&](const NodeRef& node) {
    loads += node.is<BufferLoad>() ? 1 : 0;
    return true;
  });
  return loads == 2;
}

/// From statement number `at` on, "commit, wait for all".
bool is_wait(const std::vector<Stmt>& list, size_t at) {
  return at + 1 < list.size() && is_call(list[at], "ptx_commit_group") &&
         waits_for_all(list[at + 1]);
}

} // namespace

PrimFunc join_waits(const PrimFunc& function) {
  return with_body(
      function, cast_ref<StmtNode>(rewrite_post(function->body, [](const NodeRef& node) -> NodeRef {
        const auto* seq = node.as<SeqStmt>();
        if (seq == nullptr)
          return node;
        const std::vector<Stmt>& list = seq->statements;
        std::vector<Stmt> kept;
        for (size_t i = 0; i < list.size(); ++i) {
          if (is_wait(list, i)) {
            size_t next = i + 2;
            bool copies = false;
            bool fence = false;
            for (; next < list.size(); ++next) {
              if (is_copies(list[next]))
                copies = true;
              else if (is_fence(list[next]))
                fence = true;
              else if (!fence ||
                       !(is_call(list[next], "sync_threads") || is_call(list[next], "sync_warp")))
                break;
            }
            const bool fenced = next + 2 < list.size() && is_fence(list[next + 2]);
            if (copies && is_wait(list, next) && (!fence || fenced)) {
              for (size_t k = i + 2; k < next; ++k)
                if (!is_fence(list[k]))
                  kept.push_back(list[k]);
              i = next - 1;
              continue;
            }
            kept.push_back(list[i]);
            kept.push_back(list[i + 1]);
            ++i;
            continue;
          }
          kept.push_back(list[i]);
        }
        return kept.size() == list.size() ? node : NodeRef(make_seq(std::move(kept)));
      })));
}

} // namespace temper::tir
