#include "ir/tir/bank_conflicts.h"

#include <fmt/format.h>

#include <array>
#include <map>

namespace temper::tir {
namespace {

Error bad(std::string sentence) { return {ErrorCode::kInvalidArgument, std::move(sentence)}; }

/// Adds one pass over lanes [begin, end).
void add_pass(std::span<const int64_t> addresses, size_t begin, size_t end, int64_t bytes,
              BankReport& report) {
  // Words per bank with the first lane that wants each.
  std::array<std::map<int64_t, int>, kBanks> banks;
  bool active = false;
  for (size_t lane = begin; lane < end; ++lane) {
    if (addresses[lane] == kInactiveLane)
      continue;
    active = true;
    const int64_t first = addresses[lane] / kBankBytes;
    const int64_t last = (addresses[lane] + bytes - 1) / kBankBytes;
    for (int64_t word = first; word <= last; ++word)
      banks[static_cast<size_t>(word % kBanks)].emplace(word, static_cast<int>(lane));
  }
  if (!active)
    return;
  const int pass = report.ideal++;
  size_t fullest = 0;
  for (size_t bank = 1; bank < banks.size(); ++bank)
    if (banks[bank].size() > banks[fullest].size())
      fullest = bank;
  report.wavefronts += static_cast<int>(banks[fullest].size());
  if (banks[fullest].size() < 2)
    return;
  BankCollision collision{pass, static_cast<int>(fullest), {}};
  for (const auto& [word, lane] : banks[fullest])
    collision.lanes.push_back(lane);
  std::sort(collision.lanes.begin(), collision.lanes.end());
  report.collisions.push_back(std::move(collision));
}

} // namespace

Result<BankReport> bank_conflicts(std::span<const int64_t> addresses, int64_t bytes) {
  if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8 && bytes != 16)
    return bad(fmt::format("a lane moves 1, 2, 4, 8 or 16 bytes at once, not {}", bytes));
  for (size_t lane = 0; lane < addresses.size(); ++lane)
    if (addresses[lane] != kInactiveLane && (addresses[lane] < 0 || addresses[lane] % bytes != 0))
      return bad(fmt::format("lane {} has the address {}, which is not aligned to the {} bytes it "
                             "moves",
                             lane, addresses[lane], bytes));
  BankReport report;
  const size_t lanes_at_once =
      static_cast<size_t>(std::min<int64_t>(32, kBanks * kBankBytes / bytes));
  for (size_t begin = 0; begin < addresses.size(); begin += lanes_at_once)
    add_pass(addresses, begin, std::min(begin + lanes_at_once, addresses.size()), bytes, report);
  return report;
}

Result<TransferReport> transfer_conflicts(const Layout& fragment, const Layout& shared,
                                          int element_bits, int64_t warp, int64_t most_bytes) {
  if (fragment.shape != shared.shape)
    return bad("the fragment and the shared buffer have different shapes");
  TEMPER_TRY(split, split_threads(fragment));
  for (const std::string& axis : split.axes())
    if (axis != kMemoryAxis && axis != kLaneAxis && axis != kWarpAxis && axis != kWarpgroupAxis)
      return bad(fmt::format("the fragment spreads over the axis \"{}\"; bank conflicts are those "
                             "of lanes in warps",
                             axis));
  // Warps of warpgroups count through.
  for (auto* list : {&split.digits, &split.replicas})
    for (LayoutDigit& digit : *list)
      if (digit.axis == kWarpgroupAxis)
        digit = {digit.extent, 4 * digit.stride, kWarpAxis};
  TEMPER_TRY(elements, inverse(split, {kWarpAxis, kLaneAxis, kMemoryAxis}));
  const int64_t warps = elements.shape[0];
  const int64_t lanes = elements.shape[1];
  const int64_t registers = elements.shape[2];
  if (warp < 0 || warp >= warps)
    return bad(fmt::format("the fragment has {} warps, there is no warp {}", warps, warp));
  const LayoutMap element_of(elements);
  const LayoutMap offset_of(shared);

  // The widest run of registers that lie side by side in shared memory, aligned, for every lane.
  int64_t width = 1;
  const auto fits = [&](int64_t candidate) {
    if (registers % candidate != 0 || candidate * element_bits > 8 * most_bytes ||
        candidate * element_bits > 128)
      return false;
    for (int64_t lane = 0; lane < lanes; ++lane)
      for (int64_t first = 0; first < registers; first += candidate) {
        const int64_t base = (warp * lanes + lane) * registers + first;
        const int64_t offset = offset_of.offset(element_of.offset(base));
        if (offset % candidate != 0)
          return false;
        for (int64_t i = 1; i < candidate; ++i)
          if (offset_of.offset(element_of.offset(base + i)) != offset + i)
            return false;
      }
    return true;
  };
  while (fits(2 * width))
    width *= 2;
  if (width * element_bits % 8 != 0)
    return bad(fmt::format("elements of {} bits do not lie in whole bytes: a lane would move {} of "
                           "them at once",
                           element_bits, width));

  TransferReport report;
  report.vector_elements = width;
  for (int64_t first = 0; first < registers; first += width) {
    std::vector<int64_t> addresses;
    for (int64_t lane = 0; lane < lanes; ++lane)
      addresses.push_back(
          offset_of.offset(element_of.offset((warp * lanes + lane) * registers + first)) *
          element_bits / 8);
    TEMPER_TRY(request, bank_conflicts(addresses, width * element_bits / 8));
    report.requests += 1;
    report.wavefronts += request.wavefronts;
    report.ideal += request.ideal;
    if (first == 0 || request.extra() > report.worst.extra()) {
      report.worst = std::move(request);
      report.worst_register = first;
    }
  }
  return report;
}

Result<BankReport> ldmatrix_conflicts(const Layout& shared,
                                      std::span<const std::pair<int64_t, int64_t>> corners) {
  if (shared.rank() != 2)
    return bad("ldmatrix reads from a buffer of two dimensions");
  const LayoutMap map(shared);
  BankReport report;
  for (const auto& [row, column] : corners) {
    if (row < 0 || column < 0 || row + 8 > shared.shape[0] || column + 8 > shared.shape[1])
      return bad(fmt::format("the 8 x 8 matrix at ({}, {}) does not lie within {} x {}", row,
                             column, shared.shape[0], shared.shape[1]));
    std::vector<int64_t> addresses;
    for (int64_t i = 0; i < 8; ++i) {
      const int64_t element = (row + i) * shared.shape[1] + column;
      const int64_t offset = map.offset(element);
      for (int64_t j = 0; j < 8; ++j)
        if (offset % 8 != 0 || map.offset(element + j) != offset + j)
          return bad(fmt::format("row {} of the matrix at ({}, {}) is not 16 bytes side by side; "
                                 "ldmatrix needs layouts with vectors of 8 elements",
                                 i, row, column));
      addresses.push_back(2 * offset);
    }
    add_pass(addresses, 0, addresses.size(), 16, report);
  }
  return report;
}

} // namespace temper::tir
