// Operations of whole warps on matrices, by the layouts of their fragments.
#include "ir/tir/emulator/machine.h"

#include "ir/tir/wgmma_width.h"

namespace temper::tir::emulator {

bool Machine::whole_warp(const Warp& warp, const Instruction& inst) {
  if (warp.active == ~0u)
    return true;
  fail(inst.node, fmt::format("T.{} is done by a whole warp; {} of 32 lanes reach it",
                              inst.operation, std::popcount(warp.active)));
  return false;
}

std::vector<int64_t> Machine::registers(Warp& warp, Address& address, const Node* where) {
  std::vector<int64_t> first(kLanes, 0);
  if (!expect_scope(address, Where::kLocal, where, "an operand in registers"))
    return first;
  each_lane(warp, warp.active, [&](int lane) {
    first[static_cast<size_t>(lane)] = locate(address.buffer, evaluate(address.indices), where);
  });
  return first;
}

const Machine::FragmentTable* Machine::fragment(const std::string& name, const Node* where) {
  auto found = fragments_.find(name);
  if (found != fragments_.end())
    return &found->second;
  auto layout = hardware_fragment(name);
  if (!layout) {
    fail(where, layout.error().message);
    return nullptr;
  }
  FragmentTable table;
  table.shape = layout->shape;
  const LayoutMap map(*layout);
  const int lane = map.find(kLaneAxis);
  std::vector<int64_t> place(map.axes().size());
  for (int64_t i = 0; i < map.size(); ++i) {
    map.place(i, place);
    table.lane.push_back(static_cast<int>(place[static_cast<size_t>(lane)]));
    table.reg.push_back(place.back());
  }
  return &fragments_.emplace(name, std::move(table)).first->second;
}

std::vector<Slot> Machine::gather(const FragmentTable& table, int buffer,
                                  const std::vector<int64_t>& first, const Node* where) {
  std::vector<Slot> values(table.lane.size());
  for (size_t i = 0; i < values.size() && !failed(); ++i) {
    const int64_t element = first[static_cast<size_t>(table.lane[i])] + table.reg[i];
    if (inside_local(buffer, element, where))
      values[i] = load_local(buffer, table.lane[i], element, where);
  }
  return values;
}

bool Machine::inside_local(int buffer, int64_t element, const Node* where) {
  const BufferInfo& info = program_.buffers[static_cast<size_t>(buffer)];
  if (element >= 0 && element < info.count)
    return true;
  fail(where, fmt::format("the operation needs register {} of {}, which has {}", element,
                          info.buffer->name, info.count));
  return false;
}

double Machine::as_double(DataType dtype, Slot value, MatrixOperand operand) {
  if (operand == MatrixOperand::kTf32)
    return as_tf32(static_cast<float>(value.d));
  if (operand != MatrixOperand::kAsStored)
    return float8_to_float(static_cast<uint8_t>(value.i), operand == MatrixOperand::kE5M2);
  return dtype.is_floating() ? value.d : static_cast<double>(value.i);
}

bool Machine::operands_are(const MatrixText& text, DataType a, DataType b, const Node* where) {
  const auto good = [](MatrixOperand operand, DataType type) {
    return operand == MatrixOperand::kAsStored ||
           type == (operand == MatrixOperand::kTf32 ? DataType::float32() : DataType::uint(8));
  };
  if (good(text.a, a) && good(text.b, b))
    return true;
  fail(where, fmt::format("a product of tf32 takes float32, one of narrow floats bytes, and not "
                          "{} and {}",
                          temper::to_string(a), temper::to_string(b)));
  return false;
}

Slot Machine::accumulated(DataType dtype, Slot old, double sum) {
  if (dtype.is_floating())
    return from_bits(dtype, bits_of(dtype, interpreter::slot_of(old.d + sum)));
  return interpreter::slot_of(wrap_integer(dtype, old.i + static_cast<int64_t>(sum)));
}

void Machine::mma(Warp& warp, Instruction& inst) {
  if (!whole_warp(warp, inst))
    return;
  const auto text = parse_matrix_text(inst.text);
  if (!text) {
    fail(inst.node, text.error().message);
    return;
  }
  const FragmentTable* tables[3];
  const char* names[] = {"C", "A", "B"};
  std::vector<Slot> values[3];
  std::vector<int64_t> first[3];
  for (int i = 0; i < 3; ++i) {
    tables[i] = fragment(fmt::format("mma.{}.{}", text->fragment, names[i]), inst.node);
    if (tables[i] == nullptr)
      return;
    first[i] = registers(warp, inst.addresses[static_cast<size_t>(i)], inst.node);
    if (failed())
      return;
    values[i] =
        gather(*tables[i], inst.addresses[static_cast<size_t>(i)].buffer, first[i], inst.node);
    if (failed())
      return;
  }
  const auto dtype = [&](int i) {
    return program_.buffers[static_cast<size_t>(inst.addresses[static_cast<size_t>(i)].buffer)]
        .buffer->dtype;
  };
  if (!operands_are(*text, dtype(1), dtype(2), inst.node))
    return;
  const int64_t m = tables[0]->shape[0];
  const int64_t n = tables[0]->shape[1];
  const int64_t k = tables[1]->shape[1];
  std::vector<double> a_values, b_values;
  for (const Slot& value : values[1])
    a_values.push_back(as_double(dtype(1), value, text->a));
  for (const Slot& value : values[2])
    b_values.push_back(as_double(dtype(2), value, text->b));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < k; ++p)
        sum += a_values[static_cast<size_t>(i * k + p)] * b_values[static_cast<size_t>(p * n + j)];
      const auto at = static_cast<size_t>(i * n + j);
      const int lane = tables[0]->lane[at];
      store_local(inst.addresses[0].buffer, lane,
                  first[0][static_cast<size_t>(lane)] + tables[0]->reg[at],
                  accumulated(dtype(0), values[0][at], sum), inst.node);
    }
}

void Machine::ldmatrix(Warp& warp, Instruction& inst) {
  if (!whole_warp(warp, inst) ||
      !expect_scope(inst.addresses[1], Where::kShared, inst.node, "the source"))
    return;
  const int buffer = inst.addresses[1].buffer;
  const int to = inst.addresses[0].buffer;
  const int bits = program_.buffers[static_cast<size_t>(buffer)].buffer->dtype.bits;
  if ((bits != 8 && bits != 16 && bits != 32) ||
      program_.buffers[static_cast<size_t>(to)].buffer->dtype.bits != bits) {
    fail(inst.node, "T.ptx_ldmatrix moves elements of 8, 16 or 32 bits into registers of such");
    return;
  }
  const int64_t chunk = 128 / bits;
  int64_t count = 0;
  bool transposed = false;
  std::vector<int64_t> rows(kLanes, 0);
  each_lane(warp, warp.active, [&](int lane) {
    count = inst.codes[0]->scalar(*frame_).i;
    transposed = inst.codes[1]->scalar(*frame_).i != 0;
    if (lane >= 8 * count)
      return;
    const int64_t element = locate(buffer, evaluate(inst.addresses[1].indices), inst.node);
    rows[static_cast<size_t>(lane)] = element;
    if (element >= 0 && element % chunk != 0)
      fail(inst.node, fmt::format("lane {} gives the address {}, which is not aligned to a row of "
                                  "16 bytes",
                                  lane, element_name(buffer, element)));
  });
  if (!failed() && count != 1 && count != 2 && count != 4)
    fail(inst.node, fmt::format("T.ptx_ldmatrix loads 1, 2 or 4 matrices, not {}", count));
  if (!failed() && transposed && bits != 16)
    fail(inst.node, fmt::format("T.ptx_ldmatrix transposes elements of 16 bits, not of {}", bits));
  if (failed())
    return;
  const std::vector<int64_t> first = registers(warp, inst.addresses[0], inst.node);
  const FragmentTable* table = fragment(ldmatrix_fragment(count, transposed, bits), inst.node);
  if (failed())
    return;
  const int64_t arena = program_.buffers[static_cast<size_t>(buffer)].arena;
  std::vector<int64_t> addresses;
  for (int64_t i = 0; i < 8 * count; ++i)
    addresses.push_back(arena + bits / 8 * rows[static_cast<size_t>(i)]);
  count_ldmatrix(addresses, buffer, inst.node);
  for (int64_t matrix = 0; matrix < count; ++matrix)
    for (int64_t row = 0; row < 8; ++row) {
      lane_ = static_cast<int>(8 * matrix + row);
      const int64_t begin = rows[static_cast<size_t>(lane_)];
      if (!inside(buffer, begin, chunk, inst.node))
        return;
      for (int64_t column = 0; column < chunk; ++column) {
        if (!check_read(buffer, begin + column, actor(inst.node)))
          return;
        const auto at = static_cast<size_t>((matrix * 8 + row) * chunk + column);
        const int lane = table->lane[at];
        const int64_t reg = first[static_cast<size_t>(lane)] + table->reg[at];
        if (!inside_local(to, reg, inst.node))
          return;
        store_local(to, lane, reg, get(buffer, begin + column), inst.node);
      }
    }
}

void Machine::stmatrix(Warp& warp, Instruction& inst) {
  Address& to = inst.addresses[0];
  Address& from = inst.addresses[1];
  if (!whole_warp(warp, inst) || !expect_scope(to, Where::kShared, inst.node, "the destination"))
    return;
  if (program_.buffers[static_cast<size_t>(to.buffer)].buffer->dtype.bits != 16 ||
      program_.buffers[static_cast<size_t>(from.buffer)].buffer->dtype.bits != 16) {
    fail(inst.node, "T.ptx_stmatrix moves elements of 16 bits");
    return;
  }
  int64_t count = 0;
  std::vector<int64_t> rows(kLanes, 0);
  each_lane(warp, warp.active, [&](int lane) {
    count = inst.codes[0]->scalar(*frame_).i;
    if (lane >= 8 * count)
      return;
    const int64_t element = locate(to.buffer, evaluate(to.indices), inst.node);
    rows[static_cast<size_t>(lane)] = element;
    if (element >= 0 && element % 8 != 0)
      fail(inst.node, fmt::format("lane {} gives the address {}, which is not aligned to a row of "
                                  "16 bytes",
                                  lane, element_name(to.buffer, element)));
  });
  if (!failed() && count != 1 && count != 2 && count != 4)
    fail(inst.node, fmt::format("T.ptx_stmatrix stores 1, 2 or 4 matrices, not {}", count));
  if (failed())
    return;
  const std::vector<int64_t> first = registers(warp, from, inst.node);
  const FragmentTable* table = fragment(ldmatrix_fragment(count, false, 16), inst.node);
  if (failed())
    return;
  const int64_t arena = program_.buffers[static_cast<size_t>(to.buffer)].arena;
  std::vector<int64_t> addresses;
  for (int64_t i = 0; i < 8 * count; ++i)
    addresses.push_back(arena + 2 * rows[static_cast<size_t>(i)]);
  count_ldmatrix(addresses, to.buffer, inst.node);
  const std::vector<Slot> values = gather(*table, from.buffer, first, inst.node);
  for (int64_t row = 0; row < 8 * count && !failed(); ++row) {
    lane_ = static_cast<int>(row);
    const int64_t begin = rows[static_cast<size_t>(row)];
    if (!inside(to.buffer, begin, 8, inst.node))
      return;
    for (int64_t column = 0; column < 8; ++column) {
      if (!check_write(to.buffer, begin + column, actor(inst.node), false))
        return;
      put(to.buffer, begin + column, values[static_cast<size_t>(row * 8 + column)]);
    }
  }
}

void Machine::count_ldmatrix(const std::vector<int64_t>& addresses, int buffer, const Node* where) {
  BankReport report;
  for (size_t begin = 0; begin < addresses.size(); begin += 8) {
    auto pass = bank_conflicts(std::span(addresses).subspan(begin, 8), 16);
    if (!pass)
      return;
    report.wavefronts += pass->wavefronts;
    report.ideal += pass->ideal;
    for (BankCollision& collision : pass->collisions) {
      for (int& lane : collision.lanes)
        lane += static_cast<int>(begin);
      report.collisions.push_back(std::move(collision));
    }
  }
  auto [access, added] = accesses_index_.try_emplace(where, accesses_.size());
  if (added) {
    accesses_.emplace_back(where, SharedAccess{});
    accesses_.back().second.where = where->span;
    accesses_.back().second.buffer = program_.buffers[static_cast<size_t>(buffer)].buffer->name;
  }
  SharedAccess& total = accesses_[access->second].second;
  if (total.requests == 0 || report.extra() > total.worst.extra())
    total.worst = report;
  ++total.requests;
  total.wavefronts += report.wavefronts;
  total.ideal += report.ideal;
}

void Machine::wgmma(Warp& warp, Instruction& inst) {
  if (!whole_warp(warp, inst))
    return;
  const auto text = parse_matrix_text(inst.text);
  if (!text || text->m != 64 || !is_wgmma_width(text->n, false)) {
    fail(inst.node, "there is no wgmma of shape \"" + inst.text +
                        "\"; write \"m64n64k16\": n a multiple of 8 up to 256");
    return;
  }
  const int64_t n = text->n;
  const int64_t k = text->k;
  const bool registers_a = inst.operation == "ptx_wgmma_rs";
  Address& a = inst.addresses[1];
  Address& b = inst.addresses[2];
  if (!expect_scope(a, registers_a ? Where::kLocal : Where::kShared, inst.node, "an operand") ||
      !expect_scope(b, Where::kShared, inst.node, "an operand"))
    return;
  const auto type_of = [&](const Address& address) {
    return program_.buffers[static_cast<size_t>(address.buffer)].buffer->dtype;
  };
  const DataType in = type_of(a);
  const DataType out = type_of(inst.addresses[0]);
  if (!operands_are(*text, in, type_of(b), inst.node))
    return;
  if (!is_wgmma_width(n, out.is_int())) {
    fail(inst.node, fmt::format("wgmma of integers has 8 or 24 columns, or a multiple of 16 up to "
                                "256, not {}",
                                n));
    return;
  }
  if (type_of(b) != in || k * in.bits != 256) {
    fail(inst.node,
         fmt::format("wgmma of {} and {} takes k = {}: 32 bytes of it", temper::to_string(in),
                     temper::to_string(type_of(b)), 256 / in.bits));
    return;
  }
  if (!warp.arrived_fence) {
    fail(inst.node, "T.warpgroup_arrive() must come before the products of a group: registers and "
                    "shared memory are not ordered before them otherwise");
    return;
  }
  std::vector<int64_t> corner_a, corner_b, flags;
  each_lane(warp, 1, [&](int) {
    if (!registers_a)
      corner_a = evaluate(a.indices);
    corner_b = evaluate(b.indices);
    flags = evaluate(inst.codes);
  });
  const std::vector<int64_t> first = registers(warp, inst.addresses[0], inst.node);
  const std::vector<int64_t> first_a =
      registers_a ? registers(warp, a, inst.node) : std::vector<int64_t>();
  if (failed())
    return;
  const bool transposed = !flags.empty() && flags[0] != 0;
  const bool accumulate = flags.size() < 2 || flags[1] != 0;
  if (!transposed && in.bits != 16) {
    fail(inst.node, "wgmma takes B as [n, k] where its elements have other than 16 bits");
    return;
  }
  const Actor who = queue_actor(warp.products, inst.node, true);
  lane_ = 0;
  const int64_t row0 = 16 * (warp.in_block % 4);
  std::vector<int64_t> at_a, at_b;
  const auto element = [&](Address& address, std::vector<int64_t> corner, int64_t row,
                           int64_t column) {
    corner[corner.size() - 2] += row;
    corner[corner.size() - 1] += column;
    return locate(address.buffer, corner, inst.node);
  };
  if ((!registers_a && corner_a.size() < 2) || corner_b.size() < 2) {
    fail(inst.node, "the operands of wgmma have at least two dimensions");
    return;
  }
  // In registers: each warp's rows, as mma.sync has its A.
  const FragmentTable* table_a = nullptr;
  if (registers_a) {
    table_a = fragment(in.bits == 16   ? "mma.m16n8k16.A"
                       : in.bits == 32 ? "mma.m16n8k8.tf32.A"
                                       : "mma.m16n8k32.i8.A",
                       inst.node);
    for (size_t i = 0; i < table_a->lane.size(); ++i) {
      const int lane = table_a->lane[i];
      const int64_t reg = first_a[static_cast<size_t>(lane)] + table_a->reg[i];
      if (!inside_local(a.buffer, reg, inst.node))
        return;
      load_local(a.buffer, lane, reg, inst.node); // written, and not being written
      if (failed())
        return;
      local(a.buffer, lane).reading[static_cast<size_t>(reg)] = warp.products.open;
    }
  }
  for (int64_t i = 0; i < 16 && !registers_a; ++i)
    for (int64_t p = 0; p < k; ++p) {
      at_a.push_back(element(a, corner_a, row0 + i, p));
      if (failed() || !check_read(a.buffer, at_a.back(), who))
        return;
    }
  for (int64_t p = 0; p < k; ++p)
    for (int64_t j = 0; j < n; ++j) {
      at_b.push_back(transposed ? element(b, corner_b, j, p) : element(b, corner_b, p, j));
      if (failed() || !check_read(b.buffer, at_b.back(), who))
        return;
    }
  // Registers: free for this product, busy until its group is waited for. Products of one warp on
  // the same accumulator follow each other.
  const FragmentTable* table = accumulator_table(n);
  const int d = inst.addresses[0].buffer;
  for (size_t i = 0; i < table->lane.size(); ++i) {
    const int lane = table->lane[i];
    const int64_t reg = first[static_cast<size_t>(lane)] + table->reg[i];
    if (!inside_local(d, reg, inst.node))
      return;
    LocalMemory& memory = local(d, lane);
    if (accumulate && memory.written[static_cast<size_t>(reg)] == 0) {
      fail(inst.node, fmt::format("wgmma adds to register {} of {}, which was never written; "
                                  "clear it, or pass accumulate = 0",
                                  reg, program_.buffers[static_cast<size_t>(d)].buffer->name));
      return;
    }
    memory.pending[static_cast<size_t>(reg)] = warp.products.open;
    memory.written[static_cast<size_t>(reg)] = 1;
  }
  Operation operation;
  operation.where = inst.node;
  const int number = warp.number;
  operation.perform = [this, number, table, first, d, in, out, n, k, accumulate, table_a, first_a,
                       kind_a = text->a, kind_b = text->b, buffer_a = a.buffer, buffer_b = b.buffer,
                       at_a = std::move(at_a), at_b = std::move(at_b)] {
    Warp& owner = warps_[static_cast<size_t>(number)];
    const auto value_a = [&](size_t i) {
      if (table_a == nullptr)
        return get(buffer_a, at_a[i]);
      const auto lane = static_cast<size_t>(table_a->lane[i]);
      return from_bits(in, owner.locals[lane][static_cast<size_t>(buffer_a)]
                               .bits[static_cast<size_t>(first_a[lane] + table_a->reg[i])]);
    };
    // Each element is read once; there are n, or 16, products of it.
    std::vector<double> a_values(static_cast<size_t>(16 * k)), b_values(at_b.size());
    for (size_t i = 0; i < a_values.size(); ++i)
      a_values[i] = as_double(in, value_a(i), kind_a);
    for (size_t i = 0; i < b_values.size(); ++i)
      b_values[i] = as_double(in, get(buffer_b, at_b[i]), kind_b);
    for (int64_t i = 0; i < 16; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < k; ++p)
          sum +=
              a_values[static_cast<size_t>(i * k + p)] * b_values[static_cast<size_t>(p * n + j)];
        const auto at = static_cast<size_t>(i * n + j);
        const auto lane = static_cast<size_t>(table->lane[at]);
        uint64_t& bits = owner.locals[lane][static_cast<size_t>(d)]
                             .bits[static_cast<size_t>(first[lane] + table->reg[at])];
        const Slot old = accumulate ? from_bits(out, bits) : from_bits(out, 0);
        bits = bits_of(out, accumulated(out, old, sum));
      }
  };
  // Products of one queue are done in order.
  warp.products.used = true;
  if (options_.timing == AsyncTiming::kEarly)
    operation.perform(), operation.perform = nullptr;
  warp.products.filling.push_back(std::move(operation));
}

const Machine::FragmentTable* Machine::accumulator_table(int64_t n) {
  const std::string name = "accumulator." + std::to_string(n);
  auto found = fragments_.find(name);
  if (found != fragments_.end())
    return &found->second;
  FragmentTable table;
  auto layout = wgmma_accumulator(n);
  TEMPER_CHECK(layout.has_value(), "n was checked");
  const LayoutMap map(*layout);
  const int lane = map.find(kLaneAxis);
  std::vector<int64_t> place(map.axes().size());
  for (int64_t i = 0; i < 16 * n; ++i) {
    map.place(i, place);
    table.lane.push_back(static_cast<int>(place[static_cast<size_t>(lane)]));
    table.reg.push_back(place.back());
  }
  return &fragments_.emplace(name, std::move(table)).first->second;
}

} // namespace temper::tir::emulator
