# The Debian package, which `script/package` makes with CPack: the programs, the service, its configuration and manual
# pages. What is in no component is what `cmake --install` installs elsewhere, too.
set(debian ${PROJECT_SOURCE_DIR}/deploy/debian)
set(pages ${PROJECT_BINARY_DIR}/package)
set(documents share/doc/mmsmo-gateway)
set(package COMPONENT package EXCLUDE_FROM_ALL)

install(FILES ${debian}/gateway.toml DESTINATION /etc/mmsmo ${package})
install(FILES ${PROJECT_SOURCE_DIR}/deploy/systemd/mmsmo-gateway.service DESTINATION /lib/systemd/system ${package})
install(FILES ${pages}/mmsmo.1.gz ${pages}/mmsmo-gateway.1.gz DESTINATION share/man/man1 ${package})
install(FILES ${debian}/copyright ${pages}/changelog.gz ${pages}/changelog.Debian.gz
  DESTINATION ${documents} ${package})
# What is linked in has its own licences, and their words are to go with it.
foreach(library librocksdb-dev libgrpc-dev)
  install(FILES /usr/share/doc/${library}/copyright DESTINATION ${documents} RENAME copyright.${library} ${package})
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/deploy/nginx/mmsmo-gateway.conf ${PROJECT_SOURCE_DIR}/deploy/haproxy/haproxy.cfg
  DESTINATION ${documents}/examples ${package})

# Manual pages say what --help says.
set(name_of_mmsmo "posts to and reads from an MMS MO gateway")
set(name_of_mmsmo-gateway "MMS MO gateway")
foreach(program mmsmo mmsmo-gateway)
  add_custom_command(
    OUTPUT ${pages}/${program}.1.gz
    COMMAND help2man --no-info --name ${name_of_${program}} --output ${pages}/${program}.1
      $<TARGET_FILE:${program}>
    COMMAND gzip -9nf ${pages}/${program}.1
    DEPENDS ${program}
    VERBATIM)
endforeach()
add_custom_command(
  OUTPUT ${pages}/changelog.gz ${pages}/changelog.Debian.gz
  COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/CHANGELOG.md > ${pages}/changelog.gz
  COMMAND gzip -9nc ${debian}/changelog > ${pages}/changelog.Debian.gz
  DEPENDS ${PROJECT_SOURCE_DIR}/CHANGELOG.md ${debian}/changelog)
file(MAKE_DIRECTORY ${pages})
add_custom_target(package_files DEPENDS ${pages}/mmsmo.1.gz ${pages}/mmsmo-gateway.1.gz ${pages}/changelog.gz
  ${pages}/changelog.Debian.gz)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL Unspecified package)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "mmsmo-gateway maintainers <maintainers@mmsmo-gateway.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "gRPC gateway for MMS that handsets send")
set(CPACK_PACKAGE_DESCRIPTION "Takes the postbacks of a provider (Sinch) over HTTP, makes them durable,
answers 200 and publishes them to subscribers over gRPC. With it comes
mmsmo, a command that posts, subscribes and administers.")
set(CPACK_DEBIAN_PACKAGE_NAME mmsmo-gateway)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/conffiles ${debian}/postinst ${debian}/prerm ${debian}/postrm)
include(CPack)

# The C++ library's, by `cpack --config CPackLibrary.cmake`: one that programs run with, which the library's ABI is in the
# name of, and one that they are built with.
set(name_of_runtime libmmsmo${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(name_of_development libmmsmo-dev)
foreach(component runtime development)
  install(FILES ${debian}/copyright ${pages}/changelog.gz ${pages}/changelog.Debian.gz
    DESTINATION share/doc/${name_of_${component}} COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()
file(WRITE ${pages}/shlibs "libmmsmo ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR} ${name_of_runtime} (>= ${PROJECT_VERSION})\n")
file(WRITE ${pages}/triggers "activate-noawait ldconfig\n")
configure_file(${PROJECT_SOURCE_DIR}/cmake/CPackLibrary.cmake.in ${PROJECT_BINARY_DIR}/CPackLibrary.cmake @ONLY)
