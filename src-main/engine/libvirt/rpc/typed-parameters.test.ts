import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ParameterReader, typedParameters } from './typed-parameters.ts';
import { XdrReader, XdrWriter } from './xdr.ts';

const parameters = typedParameters(8);

function decode(hex: string): unknown {
  return parameters.decode(new XdrReader(Buffer.from(hex.replaceAll(' ', ''), 'hex')))[0]?.value;
}

describe('typed parameters', () => {
  it.each([
    ['int', '00000001 ffffffff', -1],
    ['unsigned int', '00000002 ffffffff', 2 ** 32 - 1],
    ['hyper', '00000003 fffffffffffffffe', -2],
    ['unsigned hyper, rounded', '00000004 ffffffffffffffff', 2 ** 64],
    ['double', '00000005 3ff8000000000000', 1.5],
    ['boolean', '00000006 00000001', true],
    ['string', '00000007 00000002 6f6b0000', 'ok'],
  ])('%s', (_, hex, value) => {
    expect(decode(`00000001 00000001 61000000 ${hex}`)).toBe(value);
  });

  it('refuses an unknown type', () => {
    expect(() => decode('00000001 00000001 61000000 00000008 00000000')).toThrow('type 8');
  });

  it('come back as they were sent', () => {
    const value = fc.oneof(fc.nat(), fc.boolean(), fc.string(), fc.double({ noInteger: true, noNaN: true }));
    fc.assert(
      fc.property(fc.array(fc.record({ name: fc.string(), value }), { maxLength: 8 }), (sent) => {
        fc.pre(sent.every((one) => !one.name.includes('\0') && !(typeof one.value === 'string' && one.value.includes('\0'))));
        const writer = new XdrWriter();
        parameters.encode(writer, sent);
        expect(parameters.decode(new XdrReader(writer.take()))).toEqual(sent);
      }),
    );
  });

  it('are read by name and kind', () => {
    const reader = new ParameterReader([
      { name: 'n', value: 1 },
      { name: 't', value: 'x' },
    ]);
    expect([reader.number('n'), reader.number('t'), reader.number('none')]).toEqual([1, undefined, undefined]);
    expect([reader.text('t'), reader.text('n')]).toEqual(['x', undefined]);
  });
});
