/// Short names for building tir in tests, and for running what was compiled.
#pragma once

#include "codegen/llvm/compile.h"
#include "ir/op.h"
#include "ir/tir/stmt.h"

#include <cstdlib>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace temper::codegen::testing {

using namespace ::temper::tir; // NOLINT

inline Expr imm(int64_t value) { return make_int(DataType::int64(), value); }
inline Expr f32(double value) { return make_float(DataType::float32(), value); }
inline Var index_var(const char* name) { return make_var(name, DataType::int64()); }
inline Expr ramp(const Expr& base, int lanes, int64_t stride = 1) {
  return make_ramp(base, make_int(base->dtype, stride), lanes);
}
inline Expr splat(const Expr& value, int lanes) { return make_broadcast(value, lanes); }
inline Stmt serial(const Var& var, int64_t extent, const Stmt& body) {
  return make_for(var, imm(0), imm(extent), ForKind::kSerial, body);
}
inline Buffer flat(const char* name, DataType type, int64_t count, const char* scope = "global") {
  return make_buffer(name, type, {imm(count)}, scope);
}

inline PrimFunc function_of(std::vector<Param> params, Stmt body, const char* name = "main") {
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = name;
    node.params = std::move(params);
    node.body = std::move(body);
  });
}

/// A shared object loaded from memory.
class Loaded {
public:
  explicit Loaded(const Artifact& artifact) {
    // A name of its own: dlopen takes the same path for the same library, and parallel kernels
    // stay loaded (they are linked with nodelete).
    std::string path = "/dev/shm/temper-test-XXXXXX";
    const int fd = ::mkstemp(path.data());
    EXPECT_EQ(::write(fd, artifact.code.data(), artifact.code.size()),
              static_cast<ssize_t>(artifact.code.size()));
    ::close(fd);
    handle_ = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(handle_, nullptr) << ::dlerror();
    ::unlink(path.c_str());
    if (handle_ != nullptr)
      entry_ = reinterpret_cast<Entry>(::dlsym(handle_, artifact.entry.c_str()));
    EXPECT_NE(entry_, nullptr);
  }
  Loaded(const Loaded&) = delete;
  ~Loaded() {
    if (handle_ != nullptr)
      ::dlclose(handle_);
  }
  template <typename... T> int operator()(T*... arguments) const {
    return call({const_cast<void*>(static_cast<const void*>(arguments))..., nullptr});
  }
  int call(const std::vector<void*>& arguments) const {
    return entry_ == nullptr ? -1 : entry_(arguments.data());
  }

private:
  using Entry = int32_t (*)(void* const*);
  void* handle_ = nullptr;
  Entry entry_ = nullptr;
};

inline ir::Target native(int threads = 1) {
  ir::Target target;
  target.threads = threads;
  return target;
}

/// Compiles for the host (or `target`) and loads; a failure ends the test with its sentence.
inline Artifact must_compile(const PrimFunc& function, const ir::Target& target = native()) {
  auto artifact = compile(function, target);
  EXPECT_TRUE(artifact) << artifact.error().to_string();
  return artifact ? *std::move(artifact) : Artifact();
}

} // namespace temper::codegen::testing
