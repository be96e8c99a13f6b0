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
  target_link_options(temper_options INTERFACE -fsanitize=${TEMPER_SANITIZE})
endif()
find_program(TEMPER_MOLD mold)
if(TEMPER_MOLD)
  target_link_options(temper_options INTERFACE -fuse-ld=mold)
endif()

function(temper_library name)
  add_library(${name} STATIC ${ARGN})
  target_link_libraries(${name} PUBLIC temper_options)
endfunction()

function(temper_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE temper_options)
endfunction()

# LABEL is fast, slow, gpu or gui. Every test runs in the build folder.
function(temper_test name label)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_SOURCES)
    return()
  endif()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_link_libraries(${name} PRIVATE temper_options ${arg_LIBRARIES} GTest::gmock GTest::gtest
    GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE TEMPER_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    TEMPER_BUILD_DIR="${CMAKE_BINARY_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES LABELS ${label} TIMEOUT 600)
endfunction()
