# The C++ client library as others install it: `cmake --install build/release --component library`. It is a shared
# library of its own, with the shared gRPC that a program of its user has anyway; CMake finds it as mmsmo::mmsmo, others by
# pkg-config. Its version's first number changes with its ABI; before 1.0 its second does.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Whatever others are built with, this one is not for them.
if(MMSMO_SANITIZE OR NOT PROJECT_IS_TOP_LEVEL)
  return()
endif()

get_target_property(sources mmsmo_client SOURCES)
# Health is the gateway's own, and clients have it from gRPC.
list(FILTER MMSMO_GENERATED_SOURCES EXCLUDE REGEX "/health/")
set_source_files_properties(${MMSMO_GENERATED_SOURCES} PROPERTIES GENERATED TRUE)
add_library(mmsmo_library SHARED ${sources} ${MMSMO_GENERATED_SOURCES})
add_library(mmsmo::mmsmo ALIAS mmsmo_library)
add_dependencies(mmsmo_library mmsmo_proto mmsmo_grpc) # which generate the sources
set_target_properties(mmsmo_library PROPERTIES
  OUTPUT_NAME mmsmo
  EXPORT_NAME mmsmo
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_include_directories(mmsmo_library PUBLIC
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
  PRIVATE ${PROJECT_SOURCE_DIR})
target_include_directories(mmsmo_library SYSTEM PUBLIC $<BUILD_INTERFACE:${MMSMO_GENERATED_DIR}>)
target_compile_features(mmsmo_library PUBLIC cxx_std_20)
# By name: gRPC::grpc++ is the static one in this build.
target_link_libraries(mmsmo_library PUBLIC protobuf::libprotobuf absl::status absl::statusor absl::cord grpc++ grpc gpr PRIVATE fmt::fmt)

set(config ${CMAKE_INSTALL_LIBDIR}/cmake/mmsmo)
file(WRITE ${PROJECT_BINARY_DIR}/mmsmo-config.cmake "include(CMakeFindDependencyMacro)
find_dependency(Protobuf)
find_dependency(absl)
include(\${CMAKE_CURRENT_LIST_DIR}/mmsmo-targets.cmake)
")
write_basic_package_version_file(${PROJECT_BINARY_DIR}/mmsmo-config-version.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH MMSMO_UP_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_CURRENT_SOURCE_DIR}/mmsmo.pc.in ${PROJECT_BINARY_DIR}/mmsmo.pc @ONLY)

# Debian has what programs run with and what they are built with in packages of their own: `runtime` and `development`.
install(TARGETS mmsmo_library EXPORT mmsmo LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library EXCLUDE_FROM_ALL)
install(TARGETS mmsmo_library LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_SKIP EXCLUDE_FROM_ALL)
install(TARGETS mmsmo_library LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development NAMELINK_ONLY EXCLUDE_FROM_ALL)
foreach(component library development)
  set(part COMPONENT ${component} EXCLUDE_FROM_ALL)
  install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/mmsmo/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mmsmo ${part})
  install(DIRECTORY ${MMSMO_GENERATED_DIR}/mmsmo/v1 DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mmsmo ${part}
    FILES_MATCHING PATTERN "*.h")
  install(EXPORT mmsmo NAMESPACE mmsmo:: FILE mmsmo-targets.cmake DESTINATION ${config} ${part})
  install(FILES ${PROJECT_BINARY_DIR}/mmsmo-config.cmake ${PROJECT_BINARY_DIR}/mmsmo-config-version.cmake
    DESTINATION ${config} ${part})
  install(FILES ${PROJECT_BINARY_DIR}/mmsmo.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${part})
endforeach()
