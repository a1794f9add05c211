// Compiled by tsc and never run: what the generated types must and must not allow.
import * as wire from '../../panel/src/protocol/wire.ts';

export const request: wire.LoadRequestInput = { model: 'tiny' };
export const whole: wire.LoadRequest = wire.loadRequestSchema.parse(request);
export const model: string = whole.model;
export const progress: number = wire.modelEventSchema.parse({}).load_progress;
export const code: wire.ErrorCode = 'model_not_found';

// @ts-expect-error: a read value has every member that is not optional
export const partial: wire.LoadRequest = { model: 'tiny' };
// @ts-expect-error: not a number
export const text: number = whole.model;
// @ts-expect-error: not in the closed list
export const unknownCode: wire.ErrorCode = 'no_such_code';
// @ts-expect-error: an optional member may be absent
export const reason: string = wire.logEventSchema.parse({}).exception;

export function sequenceOf(message: wire.DaemonMessage): number {
  switch (message.type) {
    case 'event':
    case 'hello_reply':
      return message.sequence;
    case 'error':
      return -1;
  }
}
