# What every temper target shares: include root, warnings, sanitizers, a fast linker.
#
#   temper_library(NAME SOURCES... )    a static library, "temper_<x>"
#   temper_program(NAME SOURCES... )    a program in build/bin
#   temper_test(NAME LABEL SOURCES... LIBRARIES ...)   a GoogleTest program of one tier

add_library(temper_options INTERFACE)
target_include_directories(temper_options INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_options(temper_options INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  -ffp-contract=off
  # GCC 12 sees uninitialised members in every moved std::variant that holds a vector.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-restrict> $<$<BOOL:${TEMPER_WARNINGS_ARE_ERRORS}>:-Werror>)
if(TEMPER_SANITIZE)
  target_compile_options(temper_options INTERFACE -fsanitize=${TEMPER_SANITIZE}
    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  if(TEMPER_SANITIZE MATCHES undefined)
    # Null pointers fault by themselves; sizes of objects and types of virtual calls are what the
    # address sanitizer sees better. Together they make a third of the time to compile.
    target_compile_options(temper_options INTERFACE -fno-sanitize=null,vptr,object-size)
  endif()
  if(TEMPER_SANITIZE MATCHES address AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Checks as calls: the tests run a little longer, the build takes a good deal less.
    target_compile_options(temper_options INTERFACE --param=asan-instrumentation-with-call-threshold=0)
  endif()
  target_link_options(temper_options INTERFACE -fsanitize=${TEMPER_SANITIZE})
endif()
find_program(TEMPER_MOLD mold)
if(TEMPER_MOLD)
  target_link_options(temper_options INTERFACE -fuse-ld=mold)
endif()

# Headers that nearly every source includes, compiled once per kind of target (a program's code is
# compiled with -fPIE, a library's with -fPIC, and a precompiled header serves only one of them).
# Sources still include what they use: a build without precompiled headers works too.
set(temper_common_headers <algorithm> <cstdint> <fmt/format.h> <functional> <map> <memory>
  <nlohmann/json.hpp> <optional> <string> <string_view> <unordered_map> <unordered_set> <utility>
  <variant> <vector>)
function(temper_precompiled kind)
  cmake_parse_arguments(arg "LIBRARY" "" "HEADERS;LIBRARIES" ${ARGN})
  set(empty ${CMAKE_CURRENT_BINARY_DIR}/precompiled_${kind}.cpp)
  file(CONFIGURE OUTPUT ${empty} CONTENT "int main() { return 0; }\n")
  if(arg_LIBRARY OR kind STREQUAL library)
    file(CONFIGURE OUTPUT ${empty} CONTENT "")
    add_library(temper_precompiled_${kind} STATIC ${empty})
  else()
    add_executable(temper_precompiled_${kind} EXCLUDE_FROM_ALL ${empty})
  endif()
  target_link_libraries(temper_precompiled_${kind} PRIVATE temper_options fmt::fmt
    nlohmann_json::nlohmann_json ${arg_LIBRARIES})
  target_precompile_headers(temper_precompiled_${kind} PRIVATE ${temper_common_headers}
    ${arg_HEADERS})
endfunction()

# What is compiled with other macros than the rest (LLVM's, XGBoost's) says NO_PRECOMPILED, or
# PRECOMPILED with the kind that has them.
function(temper_use_precompiled name kind)
  if(NOT CMAKE_DISABLE_PRECOMPILE_HEADERS)
    target_precompile_headers(${name} REUSE_FROM temper_precompiled_${kind})
    # ccache needs the reference to the header kept in the preprocessed text.
    target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endfunction()

function(temper_library name)
  cmake_parse_arguments(arg "NO_PRECOMPILED" "PRECOMPILED" "" ${ARGN})
  add_library(${name} STATIC ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC temper_options)
  if(arg_PRECOMPILED)
    temper_use_precompiled(${name} ${arg_PRECOMPILED})
  elseif(NOT arg_NO_PRECOMPILED)
    temper_use_precompiled(${name} library)
  endif()
endfunction()

# Default options and suppressions of the sanitizers, for every program.
function(temper_sanitized name)
  if(TEMPER_SANITIZE)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/sanitizers.cpp)
    set_source_files_properties(${PROJECT_SOURCE_DIR}/cmake/sanitizers.cpp PROPERTIES
      SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()

function(temper_program name)
  add_executable(${name} ${ARGN})
  temper_sanitized(${name})
  target_link_libraries(${name} PRIVATE temper_options)
  temper_use_precompiled(${name} program)
endfunction()

# LABEL is fast, slow, gpu or gui. Every test runs in the build folder.
function(temper_test name label)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  temper_sanitized(${name})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE temper_options ${arg_LIBRARIES} GTest::gmock GTest::gtest
    GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE TEMPER_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    TEMPER_BUILD_DIR="${CMAKE_BINARY_DIR}")
  temper_use_precompiled(${name} test)
  # Most of a test's compile time would go into optimising code that runs once.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  # Listing the tests takes a moment, but 5 s (the default) were too few for a sanitized program on
  # a busy machine, and then no test of any program runs.
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120 NO_PRETTY_VALUES
    PROPERTIES LABELS ${label} TIMEOUT 600)
endfunction()
