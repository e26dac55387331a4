// The state that the interpreter, the translator and translated code address by offset.
#ifndef MARTLET_CENGINE_H
#define MARTLET_CENGINE_H

#include "CPUState.h"
#include "Cores.h"
#include "GuestSampling.h"
#include "HostProcessor.h"
#include "IntegerHandlers.h"
#include "VectorElement.h"
#include "VectorFloat.h"
#include "VectorImmediate.h"
#include "VectorInteger.h"
#include "VectorMoves.h"
#include "VectorScalar.h"
#include "X87.h"
#include "EngineAtomics.h"
#include "Integer.h"

#endif
