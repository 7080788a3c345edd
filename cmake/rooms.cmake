# mmsmo_room(NAME SOURCES file... DEPS target...) declares one room of the gateway: the static library mmsmo_NAME,
# also mmsmo::NAME, compiled with the project's warnings. A room may include only what its DEPS name.
function(mmsmo_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;DEPS" ${ARGN})
  add_library(mmsmo_${name} STATIC ${ROOM_SOURCES})
  add_library(mmsmo::${name} ALIAS mmsmo_${name})
  target_include_directories(mmsmo_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(mmsmo_${name} PUBLIC ${ROOM_DEPS} PRIVATE mmsmo_warnings)
endfunction()

# mmsmo_test(NAME SOURCES file... DEPS target...) declares one test program whose cases ctest runs one by one.
function(mmsmo_test name)
  cmake_parse_arguments(T "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE ${T_DEPS} GTest::gmock GTest::gtest_main mmsmo_warnings)
  gtest_discover_tests(${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 120)
endfunction()
