// The project's version. Both builds read it from here.

#pragma once

#define MMSMO_VERSION "0.1.0"
