// A ChatML chat template with tools, in Jinja, for the sample models.
#pragma once

#include <string_view>

namespace ingle::gguf_writer {

inline constexpr std::string_view kChatTemplate = R"({%- set first = messages[0] -%}
{%- if tools -%}
{{ '<|im_start|>system\n' }}
{%- if first.role == 'system' -%}{{ first.content + '\n\n' }}{%- endif -%}
{{ 'These tools may be called; each line is one signature in JSON.\n<tools>\n' }}
{%- for tool in tools -%}{{ tool | tojson + '\n' }}{%- endfor -%}
{{ '</tools>\nA call is {"name": NAME, "arguments": OBJECT} in JSON, marked as a tool call.' }}
{{- '<|im_end|>\n' }}
{%- elif first.role == 'system' -%}
{{ '<|im_start|>system\n' + first.content + '<|im_end|>\n' }}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' -%}
{{ '<|im_start|>user' }}
{%- endif -%}
{{ '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}{{ '<|im_end|>\n' }}{%- endif -%}
{%- elif message.role == 'assistant' -%}
{{ '<|im_start|>assistant\n' }}
{%- if message.content -%}{{ message.content }}{%- endif -%}
{%- for call in message.tool_calls or [] -%}
{%- if message.content or not loop.first -%}{{ '\n' }}{%- endif -%}
{{ '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson }}{{ '}\n</tool_call>' }}
{%- endfor -%}
{{ '<|im_end|>\n' }}
{%- elif not (loop.first and message.role == 'system') -%}
{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}
)";

}  // namespace ingle::gguf_writer
