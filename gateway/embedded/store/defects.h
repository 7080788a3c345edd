// Ways to break the promise, so that script/chaos can be seen to notice. tests/chaos compiles each
// into a gateway of its own; no other has any.

#pragma once

#include <rocksdb/options.h>

namespace mmsmo::embedded {

// Called with every write that has to be durable when it returns.
#if defined(MMSMO_DEFECT_UNSYNCED)
inline void BreakPromise(rocksdb::WriteOptions* options) { options->sync = false; }
#elif defined(MMSMO_DEFECT_EARLY)
// It is answered first, and written when memory has to be freed.
inline void BreakPromise(rocksdb::WriteOptions* options) {
  options->sync = false;
  options->disableWAL = true;
}
#else
inline void BreakPromise(rocksdb::WriteOptions*) {}
#endif

}  // namespace mmsmo::embedded
