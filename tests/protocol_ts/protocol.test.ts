// Goal: the generated TypeScript reads every released wire version as the C++ codecs do. Method:
// parses each golden sample with its Zod schema (nothing may be lost or changed), then named cases
// that must pass and that must fail. The types themselves are checked by tsc (see types.ts).
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { z } from 'zod';

import * as wire from '../../panel/src/protocol/wire.ts';

// Compiled, this file lies in a scratch folder; run.sh runs it from the source's.
const golden = pathToFileURL('../golden/protocol/');
const schemas: Record<string, unknown> = wire;

function schemaOf(type: string): z.ZodType {
  const name = `${type.charAt(0).toLowerCase()}${type.slice(1)}Schema`;
  assert.ok(name in schemas, `wire.ts has no ${name}`);
  return schemas[name] as z.ZodType;
}

function versions(): number[] {
  const out = [];
  for (let v = wire.PROTOCOL_VERSION_MIN; v <= wire.PROTOCOL_VERSION; v++) out.push(v);
  return out;
}

for (const version of versions()) {
  const folder = new URL(`v${version}/`, golden);
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  test(`golden samples of version ${version}`, async (t) => {
    assert.ok(files.length >= 35, `only ${files.length} samples in ${folder.pathname}`);
    for (const file of files)
      await t.test(file, () => {
        const samples = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as
          Record<string, unknown>;
        const schema = schemaOf(file.replace('.json', ''));
        for (const kind of ['full', 'minimal']) {
          assert.ok(samples[kind], `no ${kind} sample`);
          assert.deepEqual(schema.parse(samples[kind]), samples[kind]);
        }
      });
  });
}

test('unknown members pass and missing ones are filled in', () => {
  const event = wire.modelEventSchema.parse({ model: 'tiny', added_later: { deep: [1] } });
  assert.deepEqual(event, {
    model: 'tiny', state: 'spawned', load_progress: 0, added_later: { deep: [1] },
  });
  assert.deepEqual(wire.errorBodySchema.parse({}).error,
    { code: '', message: '', context: [], request_id: '' });
  const { server } = wire.configSchema.parse({ server: { port: 1 } });
  assert.equal(server.port, 1);
  assert.equal(server.host, '127.0.0.1');
});

test('defaults are not shared between values', () => {
  wire.modelListSchema.parse({}).models.push(wire.modelInfoSchema.parse({}));
  assert.deepEqual(wire.modelListSchema.parse({}).models, []);
});

test('wrong types are refused', () => {
  const refused: [z.ZodType, unknown][] = [
    [wire.loadRequestSchema, { model: 1 }],
    [wire.loadRequestSchema, { model: null }],
    [wire.loadRequestSchema, { set: 'a' }],
    [wire.subscribeSchema, { type: 'subscribe', topics: ['logs'] }],
    [wire.helloSchema, { type: 'subscribe' }],
    [wire.helloSchema, {}],
    [wire.helloSchema, { type: 'hello', protocol_version: 2147483648 }],
    [wire.eventSchema, { type: 'event', sequence: 1.5 }],
    [wire.eventSchema, { type: 'event', sequence: 2 ** 53 }],
    [wire.logEventSchema, { fields: { a: 1 } }],
    [wire.modelInfoSchema, 'text'],
  ];
  for (const [schema, value] of refused)
    assert.equal(schema.safeParse(value).success, false, JSON.stringify(value));
});

test('messages are told apart by their type', () => {
  const reply = wire.daemonMessageSchema.parse({ type: 'hello_reply', protocol_version: 1 });
  assert.equal(reply.type, 'hello_reply');
  const hello = wire.clientMessageSchema.parse({ type: 'hello', topics: ['log'] });
  assert.equal(hello.type, 'hello');
  assert.equal(wire.daemonMessageSchema.safeParse({ type: 'hello' }).success, false);
  assert.equal(wire.clientMessageSchema.safeParse({ topics: [] }).success, false);
});

test('routes name the schemas of their bodies', () => {
  assert.equal(wire.ROUTES.load_model.path, '/api/v1/load');
  assert.equal(wire.ROUTES.load_model.request, wire.loadRequestSchema);
  assert.equal(wire.ROUTES.list_models.answer, wire.modelListSchema);
});
