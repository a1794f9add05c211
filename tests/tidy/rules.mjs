// The rules that tidy holds, as data. A finding says which line of this file to change when the
// rule itself is wrong; widen a rule only with the reason beside it.

// Which rooms a room may include. Any edge that is not here fails.
const MIDDLE = ['base', 'platform', 'protocol', 'gguf', 'http', 'storage'];
const MODELS = ['catalog', 'supervisor', 'resources', 'engines', 'jobs'];
export const EDGES = {
  'src/base': [],
  'src/pixels': ['base'],
  'src/platform': ['base'],
  'src/protocol': ['base'],
  'src/gguf': ['base', 'platform', 'protocol'],
  'src/http': ['base', 'platform'],
  'src/storage': ['base', 'platform'],
  'src/config': ['base', 'platform', 'protocol'],
  'src/catalog': MIDDLE.filter((room) => room !== 'http'),
  'src/supervisor': MIDDLE.filter((room) => room !== 'storage'),
  'src/resources': ['base', 'platform', 'protocol', 'gguf'],
  'src/engines': [...MIDDLE, 'catalog', 'supervisor', 'resources'].filter(
    (room) => room !== 'storage',
  ),
  'src/jobs': [...MIDDLE, 'pixels', 'catalog', 'supervisor', 'resources', 'engines'],
  'src/media': ['base', 'pixels', 'platform', 'protocol', 'storage'],
  'src/insight': ['base', 'platform', 'protocol'],
  'src/api': [...MIDDLE, 'config', ...MODELS, 'media', 'insight'],
  'src/testing': [...MIDDLE, 'config', ...MODELS, 'insight'],
  'src/cli': [...MIDDLE, 'pixels', 'config', 'insight'],
  'src/daemon': [...MIDDLE, 'config', ...MODELS, 'media', 'insight', 'api', 'cli'],
  workers: ['base', 'pixels', 'platform', 'protocol', 'gguf', 'http'],
  tools: [...MIDDLE, 'config', 'api'],
  tests: [...MIDDLE, 'config', ...MODELS, 'insight', 'api', 'testing'],
  bench: [...MIDDLE, 'config', 'catalog'],
  fuzz: [...MIDDLE, 'pixels', 'media', 'config', 'catalog'],
};

// Headers that cost seconds to compile or throw: only these files may include them. A header in
// the list is private to its room: no other room may include it.
export const HEAVY = [
  {
    match: /^boost\//,
    files: [
      'src/platform/asio_loop.cpp',
      'src/platform/process_linux.cpp',
      'src/platform/signals.cpp',
      'src/http/client.cpp',
      'src/http/server.cpp',
      'src/http/socket.h', // private to http/
      'src/http/websocket.cpp',
      'src/http/wire.cpp',
    ],
  },
  { match: /^glaze\//, files: ['src/protocol/json.cpp', 'src/protocol/json_writer.cpp'] },
  { match: /^spdlog\//, files: ['src/insight/log_file.cpp'] },
  { match: /^CLI\//, files: ['src/cli/arguments.cpp'] },
  { match: /^toml\+\+\//, files: ['src/config/toml_file.cpp'] },
  {
    match: /^sqlite3\.h$/,
    files: ['src/storage/connection.cpp', 'src/storage/migrations_test.cpp'],
  },
  { match: /^sodium(\.h|\/)/, files: ['src/storage/keys.cpp'] },
  { match: /^utf8proc\.h$/, files: ['workers/text/unicode.cpp'] },
  {
    match: /^ggml(-\w+)?\.h$/,
    files: [
      'workers/tensor/ggml_device.h',
      'workers/weights/ggml_numbers.cpp',
    ],
  },
  {
    match: /^oneapi\//,
    files: ['workers/tensor/onednn_library.h'], // private to tensor/
  },
  {
    match: /^(png|jpeglib|setjmp)\.h$|^webp\//,
    files: [
      'src/pixels/decode.cpp',
      'src/pixels/decode_test.cpp',
      'src/pixels/encode.cpp',
      'src/pixels/encode_test.cpp',
    ],
  },
  { match: /^zlib\.h$/, files: ['src/pixels/texts.cpp', 'src/pixels/texts_test.cpp'] },
  { match: /^seccomp\.h$/, files: [] },
  { match: /^nlohmann\//, files: [] },
];

// Words that may not stand in code (comments apart, unless `comments` is set).
export const WORDS = [
  {
    match: /\b(TODO|FIXME|XXX|HACK)\b/,
    comments: true,
    in: /./,
    why: 'finish it or write down the limit in words',
    files: ['tests/tidy/'],
  },
  {
    match: /\bstd::(cout|cerr|clog)\b/,
    in: /^(src|workers)\//,
    why: 'records go through base::Logger; only the command line prints',
    files: ['src/cli/', 'src/daemon/main.cpp'],
  },
  {
    match: /\bthrow\b/,
    in: /^(src|workers)\//,
    why: 'return an Error (base/error.h); a library that throws is caught in its wrapper',
    files: [],
  },
  {
    match: /\bstd::j?thread\b(?!::)/,
    in: /^(src|workers)\//,
    why: 'blocking work goes to base::Lanes',
    files: [
      'src/base/lanes.h',
      'src/base/lanes.cpp',
      'src/storage/',
      'src/testing/',
      '_test.cpp',
      'src/http/rig_test.h',
    ],
  },
  {
    match: /\bstd::async\b/,
    in: /^(src|workers)\//,
    why: 'blocking work goes to base::Lanes',
    files: ['_test.cpp'],
  },
  {
    match: /(?<![\w.>:])(::|std::)?system\s*\(|\bpopen\s*\(/,
    in: /^(src|workers)\//,
    why: 'spawn processes through platform::Processes',
    files: [],
  },
  {
    match: /\b(getaddrinfo|gethostbyname)\s*\(/,
    in: /^(src|workers)\//,
    why: 'no name is resolved in the daemon',
    files: [],
  },
  {
    match: /\bstd::this_thread::sleep|\b(u|nano)?sleep\s*\(/,
    in: /^(src|workers)\//,
    why: 'wait for a condition: base::Gate, base::sleep_for',
    files: ['workers/fake/', 'src/testing/', 'src/platform/asio_loop_test.cpp'],
  },
  {
    match: /\b(system_clock|steady_clock)::now\b/,
    in: /^src\//,
    why: 'time comes from base::Clock',
    files: ['src/platform/', 'src/testing/', '_test.cpp'],
  },
];

// Lines of a file and of a function. Over `soft` a file needs an entry in sizes.json, which only
// goes down; over `hard` it fails.
export const SIZES = {
  file_soft: 600,
  file_hard: 1000,
  function_soft: 70,
  column_max: 100,
  // Generated files and samples are apart.
  exempt: [/^panel\/src\/protocol\//, /^tests\/golden\//, /\.json$/, /^fuzz\/corpus\//, /\.sql$/],
};

// Libraries that bin/ingle may need itself.
export const NEEDED = [
  /^libstdc\+\+\.so/,
  /^libm\.so/,
  /^libgcc_s\.so/,
  /^libc\.so/,
  /^ld-linux/,
  /^libsqlite3\.so/,
  /^libspdlog\.so/,
  /^libfmt\.so/,
  /^libsodium\.so/,
  /^libpng\d+\.so/,
  /^libjpeg\.so/,
  /^libwebp\.so/,
  /^libz\.so/,
  /^libboost_\w+\.so/,
  /^lib(a|t|ub)san\.so/,
];
// Libraries that may not come in even through another one.
export const NEVER_NEEDED = /ggml|llama|cuda|cudart|vulkan|python|torch|nvidia|hip|openvino/i;
