/// temper-compiler: one of the processes that compile candidates, kept by CompilePool.
#include "tuner/compile_protocol.h"

int main() { return temper::tuner::compiler_main(); }
