# Writes OUT, a header with the commit of the sources in SOURCE_DIR, where it changed: what includes
# it is compiled anew then and only then. Empty where there is no repository or no git.
cmake_minimum_required(VERSION 3.20)
find_program(GIT git)
set(commit "")
if(GIT AND EXISTS ${SOURCE_DIR}/.git)
  execute_process(COMMAND ${GIT} describe --always --dirty=+ --abbrev=10 --exclude *
    WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE commit ERROR_QUIET
    OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define TEMPER_COMMIT \"${commit}\"\n" @ONLY)
