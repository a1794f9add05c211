// Every struct of the wire, by name: what has a codec, a schema, a TypeScript type and golden
// samples. A struct that is missing here is reported by `ingle-protogen check`.
#pragma once

#include "protocol/config.h"
#include "protocol/errors.h"
#include "protocol/events.h"
#include "protocol/jobs.h"
#include "protocol/models.h"
#include "protocol/resources.h"
#include "protocol/start.h"

// INGLE_WIRE_TYPES(X): X(Type) for each, in the order of definition.
#define INGLE_WIRE_TYPES(X) \
  X(ErrorInfo)              \
  X(ErrorBody)              \
  X(ModelInfo)              \
  X(ModelList)              \
  X(DeviceInfo)             \
  X(MemoryPart)             \
  X(MemoryEstimate)         \
  X(ReservationInfo)        \
  X(PressureInfo)           \
  X(SystemInfo)             \
  X(Setting)                \
  X(Eviction)               \
  X(LoadPlan)               \
  X(ResidentModel)          \
  X(WaitingModel)           \
  X(PushedOutModel)         \
  X(ResidentList)           \
  X(LoadRequest)            \
  X(LoadResult)             \
  X(UnloadRequest)          \
  X(UnloadResult)           \
  X(JobRequest)             \
  X(JobProgress)            \
  X(BenchmarkResult)        \
  X(CalibrationTrial)       \
  X(CalibrationResult)      \
  X(KeptSettings)           \
  X(JobInfo)                \
  X(JobList)                \
  X(Hello)                  \
  X(HelloReply)             \
  X(Subscribe)              \
  X(LogEvent)               \
  X(ModelEvent)             \
  X(WarmupEvent)            \
  X(DecisionEvent)          \
  X(QueueEvent)             \
  X(Event)                  \
  X(EventError)             \
  X(LogPage)                \
  X(Liveness)               \
  X(Readiness)              \
  X(WarmupStatus)           \
  X(WarmupCanary)           \
  X(WarmupCanaries)         \
  X(StartupPhase)           \
  X(StartupProfile)         \
  X(StartupTimeline)        \
  X(LaneInfo)               \
  X(IoPoolStatus)           \
  X(ServerConfig)           \
  X(ModelsConfig)           \
  X(TextConfig)             \
  X(MemoryConfig)           \
  X(QueueConfig)            \
  X(LogConfig)              \
  X(Config)
