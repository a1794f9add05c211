// Written by ingle-protogen from src/protocol: change the structs there, then `./dev gen`.
// Each schema accepts members it does not know, and fills in those that are missing, so that
// a newer or older daemon of the same protocol version can be read.
import { z } from 'zod';

/** Version of the wire that this module was written for. */
export const PROTOCOL_VERSION = 1;
/** Oldest version that a daemon of this version still speaks. */
export const PROTOCOL_VERSION_MIN = 1;

/** What ErrorInfo's code may be; a newer daemon may know more. */
export const ERROR_CODES = [
  'invalid_argument',
  'malformed',
  'limit_exceeded',
  'unauthorized',
  'forbidden',
  'not_found',
  'model_not_found',
  'method_not_allowed',
  'conflict',
  'unsupported',
  'version_mismatch',
  'cancelled',
  'io_error',
  'disk_full',
  'permission_denied',
  'address_in_use',
  'out_of_memory',
  'timeout',
  'model_broken',
  'spawn_failed',
  'worker_crashed',
  'load_failed',
  'upstream_error',
  'pending',
  'overloaded',
  'shutting_down',
  'daemon_absent',
  'database_error',
  'internal',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What a model is for. */
export const modelKindSchema = z.enum([
  'text',
  'embedding',
  'reranker',
  'projector',
  'adapter',
  'unknown',
  'image',
  'component',
]);
export type ModelKind = z.output<typeof modelKindSchema>;

/** Whether a model's files can be used. */
export const modelStateSchema = z.enum([
  'usable',
  'incomplete',
  'broken',
]);
export type ModelState = z.output<typeof modelStateSchema>;

/** Whose a model is. */
export const modelSourceSchema = z.enum([
  'user',
  'starter',
]);
export type ModelSource = z.output<typeof modelSourceSchema>;

/** What a device is. */
export const deviceKindSchema = z.enum([
  'host',
  'gpu',
]);
export type DeviceKind = z.output<typeof deviceKindSchema>;

/** What a piece of memory is for. */
export const memoryKindSchema = z.enum([
  'weights',
  'kv',
  'compute',
  'encoder',
  'decoder',
  'other',
]);
export type MemoryKind = z.output<typeof memoryKindSchema>;

/** How far a reservation has come. */
export const reservationStateSchema = z.enum([
  'predicted',
  'committed',
  'measured',
]);
export type ReservationState = z.output<typeof reservationStateSchema>;

/** How short the machine's memory is. */
export const memoryLevelSchema = z.enum([
  'calm',
  'tight',
  'short_of',
  'critical',
]);
export type MemoryLevel = z.output<typeof memoryLevelSchema>;

/** Where a worker's life stands. */
export const workerStateSchema = z.enum([
  'spawned',
  'greeted',
  'loading',
  'ready',
  'busy',
  'draining',
  'exited',
  'crashed',
]);
export type WorkerState = z.output<typeof workerStateSchema>;

/** What a given picture is for, when there is no mask. */
export const imageUseSchema = z.enum([
  'automatic',
  'start',
  'reference',
]);
export type ImageUse = z.output<typeof imageUseSchema>;

/** Kinds of picture files. */
export const imageFormatSchema = z.enum([
  'png',
  'jpeg',
  'webp',
]);
export type ImageFormat = z.output<typeof imageFormatSchema>;

/** What a job does. */
export const jobKindSchema = z.enum([
  'load',
  'benchmark',
  'calibration',
  'image',
]);
export type JobKind = z.output<typeof jobKindSchema>;

/** Where a job stands; interrupted: the daemon ended under it. */
export const jobStateSchema = z.enum([
  'queued',
  'running',
  'completed',
  'failed',
  'cancelled',
  'interrupted',
]);
export type JobState = z.output<typeof jobStateSchema>;

/** Who wrote the settings that stand in a picture's file. */
export const settingsOriginSchema = z.enum([
  'ingle',
  'a1111',
]);
export type SettingsOrigin = z.output<typeof settingsOriginSchema>;

/** What a drawing is at. */
export const drawStageSchema = z.enum([
  'encode_prompt',
  'encode_image',
  'denoise',
  'decode',
]);
export type DrawStage = z.output<typeof drawStageSchema>;

/** What an event is about; also the topics of a subscription. */
export const topicSchema = z.enum([
  'log',
  'model',
  'warmup',
  'job',
  'decision',
  'queue',
]);
export type Topic = z.output<typeof topicSchema>;

/** Level of a log record. */
export const logSeveritySchema = z.enum([
  'trace',
  'debug',
  'info',
  'warning',
  'error',
]);
export type LogSeverity = z.output<typeof logSeveritySchema>;

/** What was decided about a model. */
export const decisionKindSchema = z.enum([
  'load',
  'evict',
  'unload',
  'put_back',
  'fall',
  'refuse',
  'guard',
]);
export type DecisionKind = z.output<typeof decisionKindSchema>;

/** State of a warm-up job. */
export const warmupStateSchema = z.enum([
  'submitted',
  'running',
  'completed',
  'failed',
]);
export type WarmupState = z.output<typeof warmupStateSchema>;

export const errorInfoSchema = z.looseObject({
  /** What kind of failure, from a closed list, such as "model_not_found". */
  code: z.string().default(''),
  /** What failed, on what, and what to do about it. */
  message: z.string().default(''),
  /** Where it happened, innermost first. */
  context: z.array(z.string()).default(() => []),
  /** Id of the request, to find it in the log. */
  request_id: z.string().default(''),
  /** When to try again, in milliseconds; absent when trying again does not help. */
  retry_after_ms: z.int().optional(),
});
export type ErrorInfo = z.output<typeof errorInfoSchema>;

export const errorBodySchema = z.looseObject({
  /** The failure. */
  error: errorInfoSchema.prefault({}),
});
export type ErrorBody = z.output<typeof errorBodySchema>;

export const modelPartSchema = z.looseObject({
  /** What it is in the model, such as "vae" or "text_encoder". */
  role: z.string().default(''),
  /** The component, or the model, that it is borrowed from; empty: the model's own. */
  component: z.string().default(''),
  /** Its file or folder; empty: in the model's own. */
  path: z.string().default(''),
  /** Its size, in bytes. */
  size_bytes: z.int().default(0),
  /** Why this one, in words. */
  reason: z.string().default(''),
});
export type ModelPart = z.output<typeof modelPartSchema>;

export const modelInfoSchema = z.looseObject({
  /** Name to use in requests; unique in the catalogue. */
  id: z.string().default(''),
  /** What it is for. */
  kind: modelKindSchema.default('unknown'),
  /** Whether it can be used. */
  state: modelStateSchema.default('usable'),
  /** Whose it is: "starter" came with ingle. */
  source: modelSourceSchema.default('user'),
  /** Why it cannot be used; empty when it can. */
  problem: z.string().default(''),
  /** First file, as an absolute path. */
  path: z.string().default(''),
  /** Number of files (shards). */
  file_count: z.int().default(1),
  /** Size of all its files, in bytes, with parts that it shares with others. */
  size_bytes: z.int().default(0),
  /** When its file was last changed: Unix time in milliseconds. */
  modified_unix_ms: z.int().default(0),
  /** The model's own name, from its metadata. */
  name: z.string().default(''),
  /** Architecture, such as "llama" or "sd1". */
  architecture: z.string().default(''),
  /** Quantisation of most of its weights, such as "Q4_K". */
  quantization: z.string().default(''),
  /** Number of parameters. */
  parameters: z.int().default(0),
  /** Longest context it was trained for, in tokens; 0 when unknown. */
  context_tokens_max: z.int().default(0),
  /** Width of its embeddings; 0 when unknown. */
  embedding_length: z.int().default(0),
  /** Whether it has a chat template. */
  has_chat_template: z.boolean().default(false),
  /** What a picture model is made of. */
  parts: z.array(modelPartSchema).default(() => []),
  /** The models that have a part from here. */
  used_by: z.array(z.string()).default(() => []),
});
export type ModelInfo = z.output<typeof modelInfoSchema>;

export const modelListSchema = z.looseObject({
  /** The models, sorted by id. */
  models: z.array(modelInfoSchema).default(() => []),
  /** Folders that were searched. */
  folders: z.array(z.string()).default(() => []),
  /** Whether the first scan is still under way, so that more may come. */
  scanning: z.boolean().default(false),
});
export type ModelList = z.output<typeof modelListSchema>;

export const deviceInfoSchema = z.looseObject({
  /** Name of the device in plans: "host", "gpu0", "gpu1". */
  id: z.string().default(''),
  /** What it is. */
  kind: deviceKindSchema.default('host'),
  /** Name of the processor or card. */
  name: z.string().default(''),
  /** What the text engine calls it, such as "CUDA0"; empty: it does not use it. */
  engine_name: z.string().default(''),
  /** Memory in all, in bytes. */
  total_bytes: z.int().default(0),
  /** Most that models may hold, in bytes. */
  budget_bytes: z.int().default(0),
  /** Measured free, in bytes; on the host what can be had without swapping. */
  free_bytes: z.int().default(0),
  /** Held by reservations of models, in bytes. */
  committed_bytes: z.int().default(0),
  /** Measured in the workers, in bytes. */
  resident_bytes: z.int().default(0),
  /** Used by everything else, in bytes. */
  others_bytes: z.int().default(0),
  /** What a further model may take without moving another aside, in bytes. */
  available_bytes: z.int().default(0),
});
export type DeviceInfo = z.output<typeof deviceInfoSchema>;

export const memoryPartSchema = z.looseObject({
  /** Device it lies on, such as "host". */
  device: z.string().default(''),
  /** What it is for. */
  kind: memoryKindSchema.default('weights'),
  /** How much, in bytes. */
  bytes: z.int().default(0),
});
export type MemoryPart = z.output<typeof memoryPartSchema>;

export const memoryEstimateSchema = z.looseObject({
  /** Predicted before the load, in bytes, over all devices. */
  predicted_bytes: z.int().default(0),
  /** What the prediction comes from: "file", or "measured" (an earlier load). */
  basis: z.string().default(''),
  /** Measured, in bytes; absent before the first load. */
  measured_bytes: z.int().optional(),
  /** (predicted - measured) / measured; absent before the first load. */
  error: z.number().optional(),
  /** The prediction, piece by piece. */
  parts: z.array(memoryPartSchema).default(() => []),
});
export type MemoryEstimate = z.output<typeof memoryEstimateSchema>;

export const reservationInfoSchema = z.looseObject({
  /** Model that holds it. */
  owner: z.string().default(''),
  /** How far it has come. */
  state: reservationStateSchema.default('predicted'),
  /** What it holds, in bytes, over all devices. */
  bytes: z.int().default(0),
  /** The same, piece by piece. */
  parts: z.array(memoryPartSchema).default(() => []),
});
export type ReservationInfo = z.output<typeof reservationInfoSchema>;

export const pressureInfoSchema = z.looseObject({
  /** How short memory is: tight stops new loads, short_of unloads idle models, critical ends the largest worker. */
  level: memoryLevelSchema.default('calm'),
  /** Why, in words. */
  reason: z.string().default(''),
  /** Share of the last 10 s in which some task waited for memory, in percent. */
  some_avg10: z.number().default(0),
  /** Share of the last 10 s in which every task waited for memory, in percent. */
  full_avg10: z.number().default(0),
});
export type PressureInfo = z.output<typeof pressureInfoSchema>;

export const systemInfoSchema = z.looseObject({
  /** Name of the processor. */
  cpu_name: z.string().default(''),
  /** Cores that the daemon may use. */
  cores_physical: z.int().default(0),
  /** Hardware threads that the daemon may use. */
  cores_logical: z.int().default(0),
  /** The devices, the host first. */
  devices: z.array(deviceInfoSchema).default(() => []),
  /** Swap in all, in bytes. */
  swap_total_bytes: z.int().default(0),
  /** Swap that is free, in bytes. */
  swap_free_bytes: z.int().default(0),
  /** Memory limit of the daemon's control group, in bytes; absent: none. */
  cgroup_limit_bytes: z.int().optional(),
  /** Whether each worker gets a control group with a limit of its own, and if not, why. */
  worker_cgroups: z.string().default(''),
  /** How short memory is. */
  pressure: pressureInfoSchema.prefault({}),
  /** Who holds what. */
  reservations: z.array(reservationInfoSchema).default(() => []),
  /** Saved conversations of models that were moved aside, in bytes on disk. */
  kv_disk_bytes: z.int().default(0),
  /** Why there is no GPU, or what could not be read; empty when all is well. */
  notes: z.array(z.string()).default(() => []),
});
export type SystemInfo = z.output<typeof systemInfoSchema>;

export const settingSchema = z.looseObject({
  /** Name of the setting, such as "context_tokens". */
  name: z.string().default(''),
  /** Its value as used, in text. */
  value: z.string().default(''),
  /** Why it has this value. */
  reason: z.string().default(''),
  /** Where it comes from: "derived", "config", "calibrated", "request" or "measured". */
  origin: z.string().default(''),
});
export type Setting = z.output<typeof settingSchema>;

export const evictionSchema = z.looseObject({
  /** Model to be moved aside. */
  model: z.string().default(''),
  /** What that frees, in bytes. */
  bytes: z.int().default(0),
  /** Why this one. */
  reason: z.string().default(''),
});
export type Eviction = z.output<typeof evictionSchema>;

export const loadPlanSchema = z.looseObject({
  /** Name of the model. */
  model: z.string().default(''),
  /** Whether it can be run here. */
  fits: z.boolean().default(false),
  /** Whether it is loaded now. */
  already_loaded: z.boolean().default(false),
  /** Where its weights go, in words, such as "processor" or "12 of 32 layers on gpu0". */
  placement: z.string().default(''),
  /** The settings, each with its reason. */
  settings: z.array(settingSchema).default(() => []),
  /** The memory it needs. */
  memory: memoryEstimateSchema.prefault({}),
  /** Models that are moved aside first, in order. */
  evictions: z.array(evictionSchema).default(() => []),
  /** Why the plan is as it is, one sentence each. */
  reasons: z.array(z.string()).default(() => []),
  /** Why it cannot be run; empty when it can. */
  problem: z.string().default(''),
  /** What would fit, when this does not; empty otherwise. */
  would_fit: z.string().default(''),
  /** The worker's command line, as it would be typed; empty when it cannot be run. */
  command: z.string().default(''),
});
export type LoadPlan = z.output<typeof loadPlanSchema>;

export const residentModelSchema = z.looseObject({
  /** Name of the model. */
  id: z.string().default(''),
  /** What it is for. */
  kind: modelKindSchema.default('unknown'),
  /** Where its worker stands. */
  state: workerStateSchema.default('spawned'),
  /** Share of the load that is done, 0 to 1. */
  load_progress: z.number().default(0),
  /** Process id of its worker. */
  pid: z.int().default(0),
  /** Requests under way. */
  requests_running: z.int().default(0),
  /** When its load began: Unix time in milliseconds. */
  loaded_unix_ms: z.int().default(0),
  /** How long the load took, in milliseconds; absent while it loads. */
  load_ms: z.number().optional(),
  /** Resident memory of its worker, in bytes; 0 when unknown. */
  resident_bytes: z.int().default(0),
  /** When it will be unloaded if nobody uses it: Unix time in milliseconds; absent: never. */
  unload_unix_ms: z.int().optional(),
  /** Why it is there, in words: who asked for it, and what keeps it. */
  reason: z.string().default(''),
  /** Whether it is pinned: it is never moved aside or unloaded for being idle. */
  pinned: z.boolean().default(false),
  /** When it was last used: Unix time in milliseconds; absent while it is in use. */
  idle_unix_ms: z.int().optional(),
  /** Its memory, as predicted and as measured. */
  memory: memoryEstimateSchema.prefault({}),
  /** Tokens of conversations that were restored when it came back. */
  restored_tokens: z.int().default(0),
  /** What confines its worker, in words. */
  sandbox: z.string().default(''),
  /** The settings it runs with. */
  settings: z.array(settingSchema).default(() => []),
});
export type ResidentModel = z.output<typeof residentModelSchema>;

export const waitingModelSchema = z.looseObject({
  /** Name of the model. */
  model: z.string().default(''),
  /** Requests that wait for it. */
  requests: z.int().default(0),
  /** How long the first of them has waited, in milliseconds. */
  waited_ms: z.int().default(0),
  /** What it waits for, in words. */
  reason: z.string().default(''),
  /** About how long it has still to wait, in milliseconds; absent when that cannot be told. */
  expected_wait_ms: z.int().optional(),
});
export type WaitingModel = z.output<typeof waitingModelSchema>;

export const pushedOutModelSchema = z.looseObject({
  /** Name of the model. */
  model: z.string().default(''),
  /** When it was moved aside: Unix time in milliseconds. */
  since_unix_ms: z.int().default(0),
  /** Why, in words. */
  reason: z.string().default(''),
  /** Tokens of conversations kept on disk for its return. */
  saved_tokens: z.int().default(0),
});
export type PushedOutModel = z.output<typeof pushedOutModelSchema>;

export const residentListSchema = z.looseObject({
  /** Models that have a worker now. */
  models: z.array(residentModelSchema).default(() => []),
  /** Models that requests wait for, the next to be loaded first. */
  waiting: z.array(waitingModelSchema).default(() => []),
  /** Models that were moved aside and come back when there is room, the first to return first. */
  pushed_out: z.array(pushedOutModelSchema).default(() => []),
});
export type ResidentList = z.output<typeof residentListSchema>;

export const loadRequestSchema = z.looseObject({
  /** Name of the model. */
  model: z.string().default(''),
  /** Only say what would be done. */
  explain: z.boolean().default(false),
  /** Settings to use instead of derived ones, as name=value. */
  set: z.array(z.string()).default(() => []),
  /** Unload after this long without use, such as "5m"; "-1" never; absent: as configured. */
  keep_alive: z.string().optional(),
  /** Pin it: it is then never moved aside or unloaded for being idle; absent: as it is. */
  pin: z.boolean().optional(),
});
export type LoadRequest = z.output<typeof loadRequestSchema>;
/** The same as it may be sent: what is left out has its default. */
export type LoadRequestInput = z.input<typeof loadRequestSchema>;

export const loadResultSchema = z.looseObject({
  /** Name of the model. */
  model: z.string().default(''),
  /** Whether it is loaded now (false with explain). */
  loaded: z.boolean().default(false),
  /** Whether it was loaded before. */
  already_loaded: z.boolean().default(false),
  /** How long the load took, in milliseconds. */
  load_ms: z.number().default(0),
  /** What was done, or would be, and why. */
  plan: loadPlanSchema.prefault({}),
});
export type LoadResult = z.output<typeof loadResultSchema>;

export const unloadRequestSchema = z.looseObject({
  /** Name of the model; absent: all. */
  model: z.string().optional(),
});
export type UnloadRequest = z.output<typeof unloadRequestSchema>;
/** The same as it may be sent: what is left out has its default. */
export type UnloadRequestInput = z.input<typeof unloadRequestSchema>;

export const unloadResultSchema = z.looseObject({
  /** Names of the models that were unloaded. */
  models: z.array(z.string()).default(() => []),
  /** Memory that their workers held when they ended, in bytes. */
  freed_bytes: z.int().default(0),
});
export type UnloadResult = z.output<typeof unloadResultSchema>;

export const hiresPassSchema = z.looseObject({
  /** How much larger the sides become, above 1 to 4. */
  scale: z.number().default(2),
  /** Share of the steps that change the larger picture, 0 to 1. */
  strength: z.number().default(0.5),
  /** Steps of the second pass; 0: as many as of the first. */
  steps: z.int().default(0),
  /** Whether the pixels are made larger, rather than the latents. */
  pixels: z.boolean().default(false),
});
export type HiresPass = z.output<typeof hiresPassSchema>;

export const imageExtensionSchema = z.looseObject({
  /** Pixels added at the left. */
  left: z.int().default(0),
  /** Pixels added above. */
  top: z.int().default(0),
  /** Pixels added at the right. */
  right: z.int().default(0),
  /** Pixels added below. */
  bottom: z.int().default(0),
});
export type ImageExtension = z.output<typeof imageExtensionSchema>;

export const drawExtrasSchema = z.looseObject({
  /** What a given picture is for: automatic: a reference where the model edits, else the start. */
  image_use: imageUseSchema.default('automatic'),
  /** Pixels over which a mask's edge fades, 0 to 256. */
  mask_feather: z.int().default(0),
  /** Grow the given picture; what is new is painted; absent: not. */
  extend: imageExtensionSchema.optional(),
  /** Draw once more, larger; absent: not. */
  hires: hiresPassSchema.optional(),
  /** How far guided contrast is drawn back, 0 to 1. */
  guidance_rescale: z.number().default(0),
  /** Guide from this share of the steps on. */
  guidance_begin: z.number().default(0),
  /** Guide up to this share of the steps. */
  guidance_end: z.number().default(1),
  /** With sampler ddim: noise added in each step, 0 to 1. */
  eta: z.number().default(0),
  /** Transformers: leave out blocks in steps that change less than this; 0: never. Faster, and a little off. */
  step_cache: z.number().default(0),
});
export type DrawExtras = z.output<typeof drawExtrasSchema>;

export const imageAdapterSchema = z.looseObject({
  /** Name of the adapter (LoRA), as the catalogue has it. */
  model: z.string().default(''),
  /** How much of it is added. */
  weight: z.number().default(1),
});
export type ImageAdapter = z.output<typeof imageAdapterSchema>;

export const imageRequestSchema = z.looseObject({
  /** Name of the model; empty: the only picture model there is. */
  model: z.string().default(''),
  /** What the picture shows. */
  prompt: z.string().default(''),
  /** What to avoid; empty: nothing. Some models do not heed it. */
  negative_prompt: z.string().default(''),
  /** Width in pixels; absent: the model's own, or the given picture's. */
  width: z.int().optional(),
  /** Height in pixels; absent: as the width. */
  height: z.int().optional(),
  /** Steps of the sampler; absent: the model's own. */
  steps: z.int().optional(),
  /** How closely to follow the prompt; absent: the model's own. */
  guidance: z.number().optional(),
  /** Seed of the first picture, 0 to 2^53 - 1; each further one has one more; absent: random. */
  seed: z.int().optional(),
  /** How many pictures. */
  count: z.int().default(1),
  /** Sampler; empty: the model's own. */
  sampler: z.string().default(''),
  /** How noise falls over the steps: simple, karras, exponential, ays; empty: the model's own. */
  schedule: z.string().default(''),
  /** Layers of the text encoder that are left out at its end. */
  clip_skip: z.int().default(0),
  /** Picture of the gallery to begin with; empty: none, or the one sent along. */
  image: z.string().default(''),
  /** Share of the steps that change the given picture, 0 to 1; absent: 0.75. */
  strength: z.number().optional(),
  /** Whether to decode in tiles, for less memory. */
  tile_decoder: z.boolean().default(false),
  /** Steps between two previews; 0: none. */
  preview_every: z.int().default(4),
  /** Adapters (LoRA) to add. */
  adapters: z.array(imageAdapterSchema).default(() => []),
  /** What few requests use. */
  extras: drawExtrasSchema.prefault({}),
  /** Kind of the pictures' files; absent: as configured (images.format). */
  format: imageFormatSchema.optional(),
  /** Quality of JPEG and WebP files, 1 to 100; WebP with 100 is exact; absent: as configured (images.quality). */
  quality: z.int().optional(),
  /** Settings to load the model with instead of derived ones, as name=value. */
  set: z.array(z.string()).default(() => []),
});
export type ImageRequest = z.output<typeof imageRequestSchema>;
/** The same as it may be sent: what is left out has its default. */
export type ImageRequestInput = z.input<typeof imageRequestSchema>;

export const jobRequestSchema = z.looseObject({
  /** What to do. */
  kind: jobKindSchema.default('load'),
  /** Name of the model. */
  model: z.string().default(''),
  /** Settings to use instead of derived ones, as name=value. */
  set: z.array(z.string()).default(() => []),
  /** With kind load: unload after this long without use; absent: as configured. */
  keep_alive: z.string().optional(),
  /** With kind calibration: longest time, such as "10m"; absent: 10m. */
  time_limit: z.string().optional(),
  /** Tokens of the prompts to measure with; absent: 512. */
  prompt_tokens: z.int().optional(),
  /** Tokens to generate in a measurement; absent: 64. */
  generated_tokens: z.int().optional(),
  /** With kind calibration: keep the winner as the model's settings; absent: true. */
  apply: z.boolean().optional(),
  /** With kind calibration: try a smaller KV type, too, which changes answers a little; absent: false. */
  smaller_kv: z.boolean().optional(),
  /** With kind image: what to draw; its model is the job's. */
  image: imageRequestSchema.optional(),
});
export type JobRequest = z.output<typeof jobRequestSchema>;
/** The same as it may be sent: what is left out has its default. */
export type JobRequestInput = z.input<typeof jobRequestSchema>;

export const jobProgressSchema = z.looseObject({
  /** What it does now, such as "loading". */
  stage: z.string().default(''),
  /** Share that is done, 0 to 1. */
  share: z.number().default(0),
  /** Units done; absent when it does not count in units. */
  done: z.number().optional(),
  /** Units in all. */
  total: z.number().optional(),
  /** What is counted, such as "bytes" or "trials"; empty: nothing. */
  unit: z.string().default(''),
  /** Units a second. */
  rate_per_s: z.number().optional(),
  /** Time left, in milliseconds, as far as it can be told. */
  left_ms: z.int().optional(),
  /** One sentence for people. */
  message: z.string().default(''),
});
export type JobProgress = z.output<typeof jobProgressSchema>;

export const benchmarkResultSchema = z.looseObject({
  /** Tokens of a prompt. */
  prompt_tokens: z.int().default(0),
  /** Tokens generated in a run. */
  generated_tokens: z.int().default(0),
  /** Runs after the warm-up. */
  runs: z.int().default(0),
  /** Tokens of the prompt read a second, median. */
  prompt_tokens_per_s: z.number().default(0),
  /** Tokens generated a second, median. */
  generated_tokens_per_s: z.number().default(0),
  /** Memory of the worker, in bytes. */
  resident_bytes: z.int().default(0),
  /** The settings it ran with. */
  settings: z.array(settingSchema).default(() => []),
});
export type BenchmarkResult = z.output<typeof benchmarkResultSchema>;

export const calibrationTrialSchema = z.looseObject({
  /** What it changed, as name=value; empty: the default. */
  set: z.array(z.string()).default(() => []),
  /** Tokens of the prompt read a second, median. */
  prompt_tokens_per_s: z.number().default(0),
  /** Tokens generated a second, median. */
  generated_tokens_per_s: z.number().default(0),
  /** Time of the workload relative to the default's: below 1 is faster. */
  relative_time: z.number().default(0),
  /** Memory of the worker, in bytes. */
  resident_bytes: z.int().default(0),
  /** What happened to it, in words: "kept", "slower", or why it failed. */
  note: z.string().default(''),
});
export type CalibrationTrial = z.output<typeof calibrationTrialSchema>;

export const calibrationResultSchema = z.looseObject({
  /** Settings that won, as name=value; empty: the default is best. */
  chosen: z.array(z.string()).default(() => []),
  /** Whether they were kept as the model's settings. */
  applied: z.boolean().default(false),
  /** Prompt speed over the default's. */
  prompt_gain: z.number().default(1),
  /** Generation speed over the default's. */
  generation_gain: z.number().default(1),
  /** What was found, in one sentence. */
  verdict: z.string().default(''),
  /** Whether the time limit ended the search. */
  out_of_time: z.boolean().default(false),
  /** Every trial, in order. */
  trials: z.array(calibrationTrialSchema).default(() => []),
});
export type CalibrationResult = z.output<typeof calibrationResultSchema>;

export const keptSettingsSchema = z.looseObject({
  /** Name of the model. */
  model: z.string().default(''),
  /** Settings it is loaded with, as name=value, unless a request says otherwise. */
  settings: z.array(z.string()).default(() => []),
  /** When they were kept: Unix time in milliseconds. */
  kept_unix_ms: z.int().default(0),
  /** The calibration that found them. */
  evidence: calibrationResultSchema.prefault({}),
});
export type KeptSettings = z.output<typeof keptSettingsSchema>;

export const imageResultSchema = z.looseObject({
  /** Ids of the pictures in the gallery, in the order of their seeds. */
  images: z.array(z.string()).default(() => []),
  /** Seed of the first. */
  seed: z.int().default(0),
  /** Time from the model's being ready to the last picture, in milliseconds. */
  draw_ms: z.number().default(0),
});
export type ImageResult = z.output<typeof imageResultSchema>;

export const jobInfoSchema = z.looseObject({
  /** Its id, such as "job-12"; never used again. */
  id: z.string().default(''),
  /** What it does. */
  kind: jobKindSchema.default('load'),
  /** Name of the model. */
  model: z.string().default(''),
  /** Where it stands. */
  state: jobStateSchema.default('queued'),
  /** How far it is. */
  progress: jobProgressSchema.prefault({}),
  /** When it was asked for: Unix time in milliseconds. */
  created_unix_ms: z.int().default(0),
  /** When it began: Unix time in milliseconds; absent: not yet. */
  started_unix_ms: z.int().optional(),
  /** When it ended: Unix time in milliseconds; absent: not yet. */
  ended_unix_ms: z.int().optional(),
  /** Why it failed; absent when it did not. */
  error: errorInfoSchema.optional(),
  /** With kind load, when completed. */
  load: loadResultSchema.optional(),
  /** With kind benchmark, when completed. */
  benchmark: benchmarkResultSchema.optional(),
  /** With kind calibration, when completed. */
  calibration: calibrationResultSchema.optional(),
  /** With kind image, once there are pictures. */
  image: imageResultSchema.optional(),
  /** With kind image: rises with every preview, which GET /api/v1/jobs/{id}/preview answers; absent: there is none. */
  preview: z.int().optional(),
});
export type JobInfo = z.output<typeof jobInfoSchema>;

export const jobListSchema = z.looseObject({
  /** The jobs, newest first. */
  jobs: z.array(jobInfoSchema).default(() => []),
});
export type JobList = z.output<typeof jobListSchema>;

export const convertedTensorsSchema = z.looseObject({
  /** Type of their numbers, such as "Q4_K". */
  type: z.string().default(''),
  /** How many. */
  tensors: z.int().default(0),
  /** What they take in the file, in bytes. */
  size_bytes: z.int().default(0),
  /** Root mean square of the differences to the source. */
  error: z.number().default(0),
  /** The same over the root mean square of the numbers. */
  relative_error: z.number().default(0),
  /** The tensor with the largest relative error; empty: none has any. */
  worst: z.string().default(''),
  /** Its relative error. */
  worst_relative_error: z.number().default(0),
});
export type ConvertedTensors = z.output<typeof convertedTensorsSchema>;

export const convertFallbackSchema = z.looseObject({
  /** The type that was meant for them; its blocks do not fit their rows. */
  wanted: z.string().default(''),
  /** The type that they have instead. */
  type: z.string().default(''),
  /** How many tensors. */
  tensors: z.int().default(0),
  /** The first of them. */
  names: z.array(z.string()).default(() => []),
});
export type ConvertFallback = z.output<typeof convertFallbackSchema>;

export const convertResultSchema = z.looseObject({
  /** The file, as an absolute path. */
  path: z.string().default(''),
  /** Tensors in it. */
  tensors: z.int().default(0),
  /** Its size in bytes. */
  size_bytes: z.int().default(0),
  /** Size of the tensors that were read, in bytes. */
  source_bytes: z.int().default(0),
  /** How long it took, in milliseconds. */
  took_ms: z.number().default(0),
  /** What was written, by type, the one with most bytes first. */
  types: z.array(convertedTensorsSchema).default(() => []),
  /** Tensors that have another type than was meant for them. */
  fallbacks: z.array(convertFallbackSchema).default(() => []),
  /** Patterns of rules that fit no tensor. */
  unused_rules: z.array(z.string()).default(() => []),
});
export type ConvertResult = z.output<typeof convertResultSchema>;

export const convertLineSchema = z.looseObject({
  /** How far it is. */
  progress: jobProgressSchema.optional(),
  /** What was written; the last line. */
  result: convertResultSchema.optional(),
  /** Why nothing was written; the last line. */
  error: errorInfoSchema.optional(),
});
export type ConvertLine = z.output<typeof convertLineSchema>;

export const galleryPictureSchema = z.looseObject({
  /** Its id, such as "20260102-12"; never used again. */
  id: z.string().default(''),
  /** When it was made: Unix time in milliseconds. */
  created_unix_ms: z.int().default(0),
  /** Job that made it. */
  job: z.string().default(''),
  /** Name of the model. */
  model: z.string().default(''),
  /** What it shows, as asked for. */
  prompt: z.string().default(''),
  /** What it was to avoid; empty: nothing was said. */
  negative_prompt: z.string().default(''),
  /** Width in pixels. */
  width: z.int().default(0),
  /** Height in pixels. */
  height: z.int().default(0),
  /** Steps of the sampler. */
  steps: z.int().default(0),
  /** How closely it follows the prompt; 0: the model has no such scale. */
  guidance: z.number().default(0),
  /** Seed of this very picture. */
  seed: z.int().default(0),
  /** Sampler that made it. */
  sampler: z.string().default(''),
  /** Share of the steps that changed a given picture; absent: it was made from noise. */
  strength: z.number().optional(),
  /** Size of its file, in bytes. */
  size_bytes: z.int().default(0),
  /** Its file below the gallery's folder, such as "2026-01-02/20260102-12.png". */
  file: z.string().default(''),
  /** The request that draws it again; absent in lists, and of pictures of earlier versions. */
  request: imageRequestSchema.optional(),
});
export type GalleryPicture = z.output<typeof galleryPictureSchema>;

export const galleryPageSchema = z.looseObject({
  /** The pictures, newest first. */
  images: z.array(galleryPictureSchema).default(() => []),
  /** Pictures in all that fit the question. */
  total: z.int().default(0),
  /** Ask with before= this for the next page; absent: this is the last one. */
  next: z.string().optional(),
});
export type GalleryPage = z.output<typeof galleryPageSchema>;

export const foundSettingsSchema = z.looseObject({
  /** Who wrote them: ingle, or a program that writes A1111's form. */
  origin: settingsOriginSchema.default('ingle'),
  /** The request that draws it again, as far as the file tells. */
  request: imageRequestSchema.prefault({}),
  /** What the file tells and the request has no room for, such as "Model hash: 6ce0161689". */
  left_out: z.array(z.string()).default(() => []),
});
export type FoundSettings = z.output<typeof foundSettingsSchema>;

export const drawerHealthSchema = z.looseObject({
  /** "loading", "ready" or "failed". */
  status: z.string().default(''),
  /** Share of the weights that is loaded, 0 to 1. */
  progress: z.number().default(0),
});
export type DrawerHealth = z.output<typeof drawerHealthSchema>;

export const drawerInfoSchema = z.looseObject({
  /** Wire version of the worker. */
  protocol_version: z.int().default(0),
  /** Family of the model, such as "sd1". */
  family: z.string().default(''),
  /** Executor in words, such as "onednn". */
  executor: z.string().default(''),
  /** Width that it draws unless told otherwise, in pixels. */
  width: z.int().default(0),
  /** The same for the height. */
  height: z.int().default(0),
  /** Widths and heights are multiples of this. */
  multiple: z.int().default(0),
  /** Steps unless told otherwise. */
  steps: z.int().default(0),
  /** Guidance unless told otherwise. */
  guidance: z.number().default(0),
  /** Sampler unless told otherwise. */
  sampler: z.string().default(''),
  /** Samplers that it knows. */
  samplers: z.array(z.string()).default(() => []),
  /** Whether a negative prompt has an effect. */
  negative_prompt: z.boolean().default(true),
  /** Whether it changes pictures. */
  image_to_image: z.boolean().default(false),
  /** Whether it fills in masked pictures. */
  inpaint: z.boolean().default(false),
  /** Whether it follows instructions about a given picture. */
  edit: z.boolean().default(false),
});
export type DrawerInfo = z.output<typeof drawerInfoSchema>;

export const drawerMemorySchema = z.looseObject({
  /** Packed weights of all parts, in bytes. */
  weights_bytes: z.int().default(0),
  /** The same of each part, by its role; 0: it is not in memory. */
  parts: z.record(z.string(), z.int()).default(() => ({})),
  /** Activations that are held, in bytes. */
  activations_bytes: z.int().default(0),
  /** The libraries' own buffers for runs, in bytes. */
  scratch_bytes: z.int().default(0),
  /** Encoded prompts and the like, in bytes. */
  caches_bytes: z.int().default(0),
  /** The most of all of these together during the last drawing, in bytes. */
  peak_bytes: z.int().default(0),
});
export type DrawerMemory = z.output<typeof drawerMemorySchema>;

export const drawAdapterSchema = z.looseObject({
  /** Safetensors file with LoRA matrices. */
  file: z.string().default(''),
  /** How much of it is added. */
  weight: z.number().default(1),
});
export type DrawAdapter = z.output<typeof drawAdapterSchema>;

export const drawRequestSchema = z.looseObject({
  /** What to draw. */
  prompt: z.string().default(''),
  /** What to avoid. */
  negative_prompt: z.string().default(''),
  /** Width in pixels; 0: the model's own, or the given picture's. */
  width: z.int().default(0),
  /** Height in pixels; 0: as the width. */
  height: z.int().default(0),
  /** Steps; 0: the model's own. */
  steps: z.int().default(0),
  /** Guidance; below 0: the model's own. */
  guidance: z.number().default(-1),
  /** Seed of the first picture; each further one has one more. */
  seed: z.int().default(0),
  /** How many pictures. */
  count: z.int().default(1),
  /** Sampler; empty: the model's own. */
  sampler: z.string().default(''),
  /** How noise falls over the steps; empty: the model's own. */
  schedule: z.string().default(''),
  /** Layers of the text encoder that are left out at its end. */
  clip_skip: z.int().default(0),
  /** Share of the steps that change a given picture, 0 to 1. */
  strength: z.number().default(0.75),
  /** LoRA files to add. */
  adapters: z.array(drawAdapterSchema).default(() => []),
  /** Whether to decode in tiles, for less memory. */
  tile_decoder: z.boolean().default(false),
  /** Steps between two previews; 0: none. */
  preview_every: z.int().default(0),
  /** What few requests use. */
  extras: drawExtrasSchema.prefault({}),
});
export type DrawRequest = z.output<typeof drawRequestSchema>;

export const drawEventSchema = z.looseObject({
  /** What it is at. */
  stage: drawStageSchema.default('encode_prompt'),
  /** Which picture, from 0. */
  picture: z.int().default(0),
  /** Steps done of this picture. */
  step: z.int().default(0),
  /** Steps in all of a picture. */
  steps: z.int().default(0),
  /** The part of the model that is being loaded for it, such as "transformer"; empty: none. */
  loading: z.string().default(''),
  /** Share of that part that is loaded, 0 to 1. */
  loaded: z.number().default(0),
});
export type DrawEvent = z.output<typeof drawEventSchema>;

export const drawEndSchema = z.looseObject({
  /** Pictures that were sent. */
  pictures: z.int().default(0),
  /** Time from the request to here, in milliseconds. */
  took_ms: z.number().default(0),
  /** Steps as used. */
  steps: z.int().default(0),
  /** Guidance as used. */
  guidance: z.number().default(0),
  /** Sampler as used. */
  sampler: z.string().default(''),
  /** The worker's memory. */
  memory: drawerMemorySchema.prefault({}),
});
export type DrawEnd = z.output<typeof drawEndSchema>;

export const helloSchema = z.looseObject({
  /** Always "hello". */
  type: z.literal('hello'),
  /** Wire version of the client. */
  protocol_version: z.int32().default(0),
  /** Name and version of the client, for the log. */
  client: z.string().default(''),
  /** Topics to receive; empty: none until a subscribe. */
  topics: z.array(topicSchema).default(() => []),
  /** Last number seen, to go on from there; absent: only what is new. */
  resume_after: z.int().optional(),
});
export type Hello = z.output<typeof helloSchema>;
/** The same as it may be sent: what is left out has its default. */
export type HelloInput = z.input<typeof helloSchema>;

export const helloReplySchema = z.looseObject({
  /** Always "hello_reply". */
  type: z.literal('hello_reply'),
  /** Wire version of the daemon. */
  protocol_version: z.int32().default(0),
  /** Version of the daemon. */
  version: z.string().default(''),
  /** Number of the newest event. */
  sequence: z.int().default(0),
  /** Whether events between resume_after and the oldest one kept are lost. */
  gap: z.boolean().default(false),
});
export type HelloReply = z.output<typeof helloReplySchema>;

export const subscribeSchema = z.looseObject({
  /** Always "subscribe". */
  type: z.literal('subscribe'),
  /** Topics to receive from now on. */
  topics: z.array(topicSchema).default(() => []),
});
export type Subscribe = z.output<typeof subscribeSchema>;
/** The same as it may be sent: what is left out has its default. */
export type SubscribeInput = z.input<typeof subscribeSchema>;

export const logEventSchema = z.looseObject({
  /** When: RFC 3339 with microseconds and zone. */
  time: z.string().default(''),
  /** How bad. */
  level: logSeveritySchema.default('info'),
  /** Which part of the daemon or which worker, such as "worker.tiny". */
  logger: z.string().default(''),
  /** What happened, in snake_case, such as "worker_crashed". */
  event: z.string().default(''),
  /** One sentence for people. */
  message: z.string().default(''),
  /** Request it is about; absent: none. */
  request_id: z.string().optional(),
  /** Connection it is about; absent: none. */
  connection_id: z.string().optional(),
  /** Typed facts by name; text, number or truth value. */
  fields: z.record(z.string(), z.string()).default(() => ({})),
  /** Error code and text; absent: none. */
  exception: z.string().optional(),
});
export type LogEvent = z.output<typeof logEventSchema>;

export const modelEventSchema = z.looseObject({
  /** Name of the model. */
  model: z.string().default(''),
  /** Where its worker stands now. */
  state: workerStateSchema.default('spawned'),
  /** Share of the load that is done, 0 to 1. */
  load_progress: z.number().default(0),
  /** Why, when it crashed or failed to load. */
  error: errorInfoSchema.optional(),
});
export type ModelEvent = z.output<typeof modelEventSchema>;

export const warmupEventSchema = z.looseObject({
  /** Jobs ended. */
  done: z.int().default(0),
  /** Jobs in all. */
  total: z.int().default(0),
  /** Jobs failed. */
  failed: z.int().default(0),
});
export type WarmupEvent = z.output<typeof warmupEventSchema>;

export const decisionEventSchema = z.looseObject({
  /** What was decided. */
  kind: decisionKindSchema.default('load'),
  /** Model it is about. */
  model: z.string().default(''),
  /** Why, in one sentence. */
  reason: z.string().default(''),
  /** Memory it takes or frees, in bytes; 0 when unknown. */
  bytes: z.int().default(0),
});
export type DecisionEvent = z.output<typeof decisionEventSchema>;

export const queueEventSchema = z.looseObject({
  /** Models that requests wait for, the next to be loaded first. */
  waiting: z.array(waitingModelSchema).default(() => []),
});
export type QueueEvent = z.output<typeof queueEventSchema>;

export const eventSchema = z.looseObject({
  /** Always "event". */
  type: z.literal('event'),
  /** Rises by one with every event of the daemon's life. */
  sequence: z.int().default(0),
  /** When: Unix time in milliseconds. */
  unix_ms: z.int().default(0),
  /** What it is about; the field of the same name is set. */
  topic: topicSchema.default('log'),
  /** With topic "log". */
  log: logEventSchema.optional(),
  /** With topic "model". */
  model: modelEventSchema.optional(),
  /** With topic "warmup". */
  warmup: warmupEventSchema.optional(),
  /** With topic "job": the job as it stands. */
  job: jobInfoSchema.optional(),
  /** With topic "decision". */
  decision: decisionEventSchema.optional(),
  /** With topic "queue". */
  queue: queueEventSchema.optional(),
});
export type Event = z.output<typeof eventSchema>;

export const eventErrorSchema = z.looseObject({
  /** Always "error"; the daemon closes the socket after it. */
  type: z.literal('error'),
  /** The failure, such as "version_mismatch". */
  error: errorInfoSchema.prefault({}),
  /** Oldest and newest wire version the daemon speaks. */
  protocol_versions: z.array(z.int32()).default(() => []),
});
export type EventError = z.output<typeof eventErrorSchema>;

export const logPageSchema = z.looseObject({
  /** The newest records that were asked for, oldest first. */
  records: z.array(logEventSchema).default(() => []),
  /** Records that were dropped because the log could not keep up. */
  dropped: z.int().default(0),
});
export type LogPage = z.output<typeof logPageSchema>;

export const livenessSchema = z.looseObject({
  /** Always "live": the daemon is listening. */
  status: z.string().default('live'),
  /** Version of the daemon. */
  version: z.string().default(''),
  /** Process id of the daemon. */
  pid: z.int32().default(0),
  /** Time since exec, in milliseconds. */
  uptime_ms: z.number().default(0),
});
export type Liveness = z.output<typeof livenessSchema>;

export const readinessSchema = z.looseObject({
  /** Whether the core is usable: every core warm-up job has completed. */
  ready: z.boolean().default(false),
  /** Names of core warm-up jobs that have not ended yet. */
  pending: z.array(z.string()).default(() => []),
  /** Names of warm-up jobs that failed; the daemon works without them, degraded. */
  failed: z.array(z.string()).default(() => []),
});
export type Readiness = z.output<typeof readinessSchema>;

export const warmupStatusSchema = z.looseObject({
  /** Jobs submitted and not ended, by name. */
  pending: z.array(z.string()).default(() => []),
  /** Jobs that completed, by name. */
  completed: z.array(z.string()).default(() => []),
  /** Jobs that failed, by name. */
  failed: z.array(z.string()).default(() => []),
  /** Whether nothing is pending. */
  done: z.boolean().default(false),
});
export type WarmupStatus = z.output<typeof warmupStatusSchema>;

export const warmupCanarySchema = z.looseObject({
  /** Name of the job. */
  name: z.string().default(''),
  /** Whether /readyz waits for it. */
  core: z.boolean().default(false),
  /** Name of the thread that ran it; empty until it ran. */
  thread: z.string().default(''),
  /** When it was submitted, in milliseconds since exec. */
  submitted_ms: z.number().default(0),
  /** When it started, in milliseconds since exec. */
  started_ms: z.number().optional(),
  /** When it ended, in milliseconds since exec. */
  ended_ms: z.number().optional(),
  /** Where it stands. */
  state: warmupStateSchema.default('submitted'),
  /** What failed, in words; absent when nothing did. */
  error: z.string().optional(),
});
export type WarmupCanary = z.output<typeof warmupCanarySchema>;

export const warmupCanariesSchema = z.looseObject({
  /** One record a job, in the order of submission. */
  canaries: z.array(warmupCanarySchema).default(() => []),
});
export type WarmupCanaries = z.output<typeof warmupCanariesSchema>;

export const startupPhaseSchema = z.looseObject({
  /** Name of the phase. */
  name: z.string().default(''),
  /** When it began, in milliseconds since exec. */
  start_ms: z.number().default(0),
  /** How long it took, in milliseconds. */
  duration_ms: z.number().default(0),
});
export type StartupPhase = z.output<typeof startupPhaseSchema>;

export const startupProfileSchema = z.looseObject({
  /** The phases on the main thread before the first answer, in order. */
  phases: z.array(startupPhaseSchema).default(() => []),
  /** Sum of the phases, in milliseconds. */
  total_ms: z.number().default(0),
  /** Number of phases. */
  count: z.int32().default(0),
});
export type StartupProfile = z.output<typeof startupProfileSchema>;

export const startupTimelineSchema = z.looseObject({
  /** When the process was exec'd: Unix time in milliseconds. */
  exec_unix_ms: z.number().default(0),
  /** When main() began, in milliseconds since exec. */
  main_ms: z.number().default(0),
  /** When the port began to listen, in milliseconds since exec. */
  listen_ms: z.number().optional(),
  /** When the first request was answered, in milliseconds since exec. */
  first_answer_ms: z.number().optional(),
  /** When every core warm-up job had ended, in milliseconds since exec. */
  ready_ms: z.number().optional(),
  /** When every warm-up job had ended, in milliseconds since exec. */
  warm_ms: z.number().optional(),
});
export type StartupTimeline = z.output<typeof startupTimelineSchema>;

export const laneInfoSchema = z.looseObject({
  /** Name of the lane: interactive, normal or bulk. */
  name: z.string().default(''),
  /** Tasks waiting. */
  queued: z.int().default(0),
  /** Tasks running. */
  running: z.int().default(0),
  /** Tasks ended since the start. */
  completed: z.int().default(0),
  /** Tasks refused because the lane was full. */
  rejected: z.int().default(0),
});
export type LaneInfo = z.output<typeof laneInfoSchema>;

export const ioPoolStatusSchema = z.looseObject({
  /** Threads of the pool. */
  threads: z.int().default(0),
  /** Most tasks that may wait in a lane. */
  queue_limit: z.int().default(0),
  /** The three lanes. */
  lanes: z.array(laneInfoSchema).default(() => []),
  /** Names of the tasks under way. */
  running: z.array(z.string()).default(() => []),
  /** Turns of the loop since the start. */
  loop_turns: z.int().default(0),
  /** Turns that stalled the loop for over 10 ms. */
  loop_stalls: z.int().default(0),
  /** The longest turn, in milliseconds. */
  loop_turn_ms_max: z.number().default(0),
});
export type IoPoolStatus = z.output<typeof ioPoolStatusSchema>;

export const serverConfigSchema = z.looseObject({
  /** Address to listen on. Anything but loopback needs an API key. */
  host: z.string().default('127.0.0.1'),
  /** Port to listen on; 0 picks a free one. */
  port: z.int().default(46453),
  /** Unix socket to listen on as well; empty: none. */
  unix_path: z.string().default(''),
  /** More host names that requests may name in their Host header. */
  allowed_hosts: z.array(z.string()).default(() => []),
  /** Web origins that may call the daemon besides its own, such as "http://localhost:3000". */
  allowed_origins: z.array(z.string()).default(() => []),
  /** Whether requests from this machine need an API key, too. */
  require_key: z.boolean().default(false),
  /** Most connections at once. */
  connections_max: z.int().default(512),
  /** Largest request body, in bytes. */
  body_bytes_max: z.int().default(67108864),
  /** Longest wait for running requests at the stop, such as "10s". */
  drain_timeout: z.string().default('10s'),
});
export type ServerConfig = z.output<typeof serverConfigSchema>;

export const modelsConfigSchema = z.looseObject({
  /** Folders with models; the data folder's models/ is always one of them. */
  folders: z.array(z.string()).default(() => []),
  /** Unload a model after this long without use; "-1": never. */
  keep_alive: z.string().default('5m'),
  /** Models to load at the start, in order, as far as they fit. */
  preload: z.array(z.string()).default(() => []),
  /** Whether the small models that came with ingle are offered. */
  starter: z.boolean().default(true),
});
export type ModelsConfig = z.output<typeof modelsConfigSchema>;

export const textConfigSchema = z.looseObject({
  /** Path of llama-server; empty: found in PATH. */
  llama_server: z.string().default(''),
  /** Processor threads for a model; 0: derived from the machine. */
  threads: z.int().default(0),
  /** Context for each request in tokens; 0: derived from model and memory. */
  context_tokens: z.int().default(0),
  /** Least context for each request in tokens that is worth loading; 0: 512, or the model's. */
  context_tokens_min: z.int().default(0),
  /** Largest derived context for each request in tokens; 0: 8192. */
  context_tokens_max: z.int().default(0),
  /** Requests that a model answers at once; 0: derived. */
  parallel: z.int().default(0),
  /** Longest load of a model before it counts as hung, such as "10m". */
  load_timeout: z.string().default('10m'),
  /** Confine workers with Landlock and seccomp where the kernel can. */
  sandbox: z.boolean().default(true),
});
export type TextConfig = z.output<typeof textConfigSchema>;

export const memoryConfigSchema = z.looseObject({
  /** Most memory that models may hold, in bytes or such as "12G"; 0: what the machine has. */
  ram_budget: z.int().default(0),
  /** The same for each GPU; 0: what the GPU has. */
  vram_budget: z.int().default(0),
  /** Memory left to the rest of the machine. */
  ram_margin: z.int().default(1073741824),
  /** The same for each GPU. */
  vram_margin: z.int().default(536870912),
  /** Most disk space for conversations of models that were moved aside; 0: keep none. */
  kv_disk: z.int().default(4294967296),
  /** Whether models that were moved aside come back when there is room again. */
  put_back: z.boolean().default(true),
  /** Whether models are unloaded when the whole machine runs short of memory. */
  guard: z.boolean().default(true),
});
export type MemoryConfig = z.output<typeof memoryConfigSchema>;

export const queueConfigSchema = z.looseObject({
  /** After this long a request for another model is served before more for the loaded one. */
  longest_wait: z.string().default('30s'),
  /** A model that was loaded stays at least this long when another one waits. */
  shortest_residency: z.string().default('2s'),
  /** Most requests that wait for a model. */
  waiting_max: z.int().default(256),
});
export type QueueConfig = z.output<typeof queueConfigSchema>;

export const imagesConfigSchema = z.looseObject({
  /** Path of the picture worker; empty: ingle-diffusion beside ingle. */
  worker: z.string().default(''),
  /** Processor threads for a picture; 0: the machine's physical cores. */
  threads: z.int().default(0),
  /** Arithmetic: f32, bf16 or int8. */
  precision: z.string().default('bf16'),
  /** What runs the arithmetic: auto, onednn or ggml. */
  executor: z.string().default('auto'),
  /** Unload a picture model after this long without use while a model that it moved aside waits to come back. */
  yield_after: z.string().default('3s'),
  /** Where pictures are kept; empty: the data folder's gallery/. */
  gallery: z.string().default(''),
  /** Parts for models that lack them, or others than their own: "MODEL ROLE=PATH", such as "flux-dev vae=/models/ae.safetensors"; a component's name will do as well. */
  parts: z.array(z.string()).default(() => []),
  /** Kind of the pictures' files: png, jpeg or webp. */
  format: z.string().default('png'),
  /** Quality of JPEG and WebP files, 1 to 100; WebP with 100 is exact. */
  quality: z.int().default(90),
});
export type ImagesConfig = z.output<typeof imagesConfigSchema>;

export const logConfigSchema = z.looseObject({
  /** Least level to keep: trace, debug, info, warning or error. */
  level: z.string().default('info'),
  /** Form on the terminal: auto, text or json. Files are always JSON lines. */
  format: z.string().default('auto'),
  /** Size at which the log file is rotated, in bytes. */
  file_bytes_max: z.int().default(10485760),
  /** Rotated files to keep. */
  files_max: z.int().default(5),
  /** Records kept in memory for clients. */
  ring_records_max: z.int().default(2000),
});
export type LogConfig = z.output<typeof logConfigSchema>;

export const configSchema = z.looseObject({
  /** How the daemon listens. */
  server: serverConfigSchema.prefault({}),
  /** Where models are and how long they stay. */
  models: modelsConfigSchema.prefault({}),
  /** How text models run. */
  text: textConfigSchema.prefault({}),
  /** How picture models run, and where their pictures go. */
  images: imagesConfigSchema.prefault({}),
  /** How much memory models may use. */
  memory: memoryConfigSchema.prefault({}),
  /** How requests for models that cannot be loaded together take turns. */
  queue: queueConfigSchema.prefault({}),
  /** What is logged and how. */
  log: logConfigSchema.prefault({}),
});
export type Config = z.output<typeof configSchema>;

/** What a client sends over the WebSocket of events. */
export const clientMessageSchema = z.discriminatedUnion('type', [
  helloSchema,
  subscribeSchema,
]);
export type ClientMessage = z.output<typeof clientMessageSchema>;

/** What the daemon sends over the WebSocket of events. */
export const daemonMessageSchema = z.discriminatedUnion('type', [
  helloReplySchema,
  eventSchema,
  eventErrorSchema,
]);
export type DaemonMessage = z.output<typeof daemonMessageSchema>;

/** The native routes that answer with JSON, by name. */
export const ROUTES = {
  /** Whether the daemon is listening. */
  livez: {
    method: 'GET',
    path: '/livez',
    answer: livenessSchema,
  },
  /** Whether the core is usable. */
  readyz: {
    method: 'GET',
    path: '/readyz',
    answer: readinessSchema,
  },
  /** Warm-up jobs by state. */
  warmup_status: {
    method: 'GET',
    path: '/api/warmup_status',
    answer: warmupStatusSchema,
  },
  /** Warm-up jobs by state, once all have ended. */
  warmup_wait: {
    method: 'GET',
    path: '/api/warmup_wait',
    answer: warmupStatusSchema,
  },
  /** A record of each warm-up job. */
  warmup_canaries: {
    method: 'GET',
    path: '/api/warmup_canaries',
    answer: warmupCanariesSchema,
  },
  /** What the main thread did before the first answer. */
  startup_profile: {
    method: 'GET',
    path: '/api/startup_profile',
    answer: startupProfileSchema,
  },
  /** When the start reached what, counted from exec. */
  startup_timeline: {
    method: 'GET',
    path: '/api/startup_timeline',
    answer: startupTimelineSchema,
  },
  /** The pool's lanes and the loop's stalls. */
  io_pool_status: {
    method: 'GET',
    path: '/api/io_pool_status',
    answer: ioPoolStatusSchema,
  },
  /** Models of the catalogue, usable or not. */
  list_models: {
    method: 'GET',
    path: '/api/v1/models',
    answer: modelListSchema,
  },
  /** Search the folders again, then list the models. */
  scan_models: {
    method: 'POST',
    path: '/api/v1/scan',
    answer: modelListSchema,
  },
  /** Models that have a worker now. */
  list_residents: {
    method: 'GET',
    path: '/api/v1/ps',
    answer: residentListSchema,
  },
  /** Load a model, or explain how it would be loaded. */
  load_model: {
    method: 'POST',
    path: '/api/v1/load',
    request: loadRequestSchema,
    answer: loadResultSchema,
  },
  /** Unload a model, or all. */
  unload_model: {
    method: 'POST',
    path: '/api/v1/unload',
    request: unloadRequestSchema,
    answer: unloadResultSchema,
  },
  /** The machine's memory: devices, who holds what, pressure. */
  get_system: {
    method: 'GET',
    path: '/api/v1/system',
    answer: systemInfoSchema,
  },
  /** What loading a model would do now, and why, without doing it. */
  get_plan: {
    method: 'GET',
    path: '/api/v1/plan',
    answer: loadPlanSchema,
  },
  /** Whether a model can be run here, from the first bytes of its GGUF file. */
  can_run: {
    method: 'POST',
    path: '/api/v1/can_run',
    answer: loadPlanSchema,
  },
  /** Jobs under way and ended, newest first. */
  list_jobs: {
    method: 'GET',
    path: '/api/v1/jobs',
    answer: jobListSchema,
  },
  /** Start a job. */
  start_job: {
    method: 'POST',
    path: '/api/v1/jobs',
    request: jobRequestSchema,
    answer: jobInfoSchema,
  },
  /** One job. */
  get_job: {
    method: 'GET',
    path: '/api/v1/jobs/{id}',
    answer: jobInfoSchema,
  },
  /** Cancel a job. */
  cancel_job: {
    method: 'DELETE',
    path: '/api/v1/jobs/{id}',
    answer: jobInfoSchema,
  },
  /** Pictures of the gallery, newest first. */
  list_images: {
    method: 'GET',
    path: '/api/v1/images',
    answer: galleryPageSchema,
  },
  /** Start a job that draws pictures. */
  draw_image: {
    method: 'POST',
    path: '/api/v1/images',
    request: imageRequestSchema,
    answer: jobInfoSchema,
  },
  /** The settings that stand in a picture's file, as a request that draws it again. */
  find_image_settings: {
    method: 'POST',
    path: '/api/v1/images/settings',
    answer: foundSettingsSchema,
  },
  /** One picture's settings. */
  get_image: {
    method: 'GET',
    path: '/api/v1/images/{id}',
    answer: galleryPictureSchema,
  },
  /** Delete a picture and its files. */
  delete_image: {
    method: 'DELETE',
    path: '/api/v1/images/{id}',
    answer: galleryPictureSchema,
  },
  /** Settings that a calibration found for a model, with the evidence. */
  get_kept_settings: {
    method: 'GET',
    path: '/api/v1/kept_settings/{id}',
    answer: keptSettingsSchema,
  },
  /** Forget the settings kept for a model. */
  forget_kept_settings: {
    method: 'DELETE',
    path: '/api/v1/kept_settings/{id}',
    answer: keptSettingsSchema,
  },
  /** Newest log records. */
  list_logs: {
    method: 'GET',
    path: '/api/v1/logs',
    answer: logPageSchema,
  },
} as const;
