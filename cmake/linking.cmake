# RocksDB and gRPC are linked into the programs: an idle gateway is 6 MB smaller without the tables of their symbols, and
# calls take no detour. The sanitizers keep the shared ones: they tell by its file which code was not built with them.
if(MMSMO_SANITIZE)
  set(MMSMO_ROCKSDB RocksDB::rocksdb-shared)
  return()
endif()

set(MMSMO_ROCKSDB RocksDB::rocksdb)
foreach(library grpc++_reflection grpc++ grpc gpr upb address_sorting)
  find_library(static_${library} lib${library}.a REQUIRED)
  # Debian's package names the shared ones alone; what they need is the same.
  get_target_property(configurations gRPC::${library} IMPORTED_CONFIGURATIONS)
  foreach(configuration ${configurations})
    set_property(TARGET gRPC::${library} PROPERTY IMPORTED_LOCATION_${configuration} ${static_${library}})
  endforeach()
endforeach()
add_link_options(-Wl,-z,pack-relative-relocs)
