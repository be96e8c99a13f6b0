/// Bank conflicts of shared-memory accesses, computed from addresses or from layouts.
///
/// Shared memory has 32 banks of 4 bytes. A request is served in passes over its lanes: all 32 at
/// once up to 4 bytes a lane, half a warp at a time for 8, a quarter for 16 (so a pass moves at
/// most 128 bytes). A pass takes one wavefront for each different 4-byte word that its fullest bank
/// has to deliver; lanes that want the same word get it together.
#pragma once

#include "ir/tir/layout.h"

namespace temper::tir {

inline constexpr int64_t kBanks = 32;
inline constexpr int64_t kBankBytes = 4;
inline constexpr int64_t kInactiveLane = -1;

/// Lanes that wait for each other in one pass: they want different words of one bank.
struct BankCollision {
  int pass = 0;
  int bank = 0;
  std::vector<int> lanes; ///< one for each different word, ascending
};

struct BankReport {
  int wavefronts = 0;                    ///< what the request takes
  int ideal = 0;                         ///< what it would take without conflicts: its passes
  std::vector<BankCollision> collisions; ///< the fullest bank of each pass that has any
  int extra() const { return wavefronts - ideal; }
};

/// `addresses`: bytes, one per lane, kInactiveLane where a lane takes no part; each lane moves
/// `bytes` = 1, 2, 4, 8 or 16, aligned.
Result<BankReport> bank_conflicts(std::span<const int64_t> addresses, int64_t bytes);

/// All requests of one warp that moves a whole tile between registers and shared memory.
struct TransferReport {
  int64_t requests = 0;
  int64_t wavefronts = 0;
  int64_t ideal = 0;
  int64_t vector_elements = 0; ///< elements each lane moves at once
  BankReport worst;            ///< the request with most extra wavefronts
  int64_t worst_register = 0;  ///< its first register
  double ways() const { return ideal > 0 ? static_cast<double>(wavefronts) / ideal : 1.0; }
};

/// Warp `warp` loads or stores all its registers of `fragment` from or to the buffer `shared` (same
/// shape, elements of `element_bits`), in the widest vectors that both layouts allow, at most
/// `most_bytes` a lane. Replicas beyond the first are moved too (all lanes load).
Result<TransferReport> transfer_conflicts(const Layout& fragment, const Layout& shared,
                                          int element_bits, int64_t warp = 0,
                                          int64_t most_bytes = 16);

/// ldmatrix (or stmatrix) of `count` 8 x 8 matrices of 16-bit elements whose upper left corners are
/// at `corners` (row, column) of the row-major coordinate of `shared`: each matrix is one pass over
/// its eight rows of 16 bytes. Fails when a row is not 16 bytes side by side.
Result<BankReport> ldmatrix_conflicts(const Layout& shared,
                                      std::span<const std::pair<int64_t, int64_t>> corners);

} // namespace temper::tir
