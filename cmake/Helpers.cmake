add_library(warnings INTERFACE)
target_compile_options(warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

# Criterion's macros assign int to bit fields: its tests do without -Wconversion.
add_library(test_warnings INTERFACE)
target_compile_options(test_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-format-truncation -Werror)

# module(core SOURCES a.c b.c USES proto PkgConfig::PG)   one folder, one library
function(module NAME)
    cmake_parse_arguments(M "" "" "SOURCES;USES" ${ARGN})
    add_library(${NAME} STATIC ${M_SOURCES})
    target_include_directories(${NAME} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(${NAME} PUBLIC ${M_USES} PRIVATE warnings)
endfunction()

# process(florin-ledger SOURCES main.c USES ledger)   one executable, in bin/
function(process NAME)
    cmake_parse_arguments(P "" "" "SOURCES;USES" ${ARGN})
    add_executable(${NAME} ${P_SOURCES})
    target_link_libraries(${NAME} PRIVATE ${P_USES} warnings)
endfunction()

# unit_tests(core money ids)   x_test.c beside x.c, linked to its own module alone
function(unit_tests MODULE)
    foreach(name ${ARGN})
        add_executable(${name}_test ${name}_test.c)
        target_link_libraries(${name}_test PRIVATE ${MODULE} PkgConfig::CRITERION test_warnings)
        add_test(NAME ${MODULE}.${name} COMMAND ${name}_test)
        set_tests_properties(${MODULE}.${name} PROPERTIES TIMEOUT 120)
    endforeach()
endfunction()
