import { type Codec, counter, double, hyper, int, list, string, struct, uint, unreadable, type ValueOf } from './xdr.ts';

/** virTypedParameterType. */
const TYPE = { int: 1, uint: 2, hyper: 3, counter: 4, double: 5, boolean: 6, string: 7 } as const;

/** A value of libvirt's typed parameters: a tag that names the type, then the value. */
const typedValue: Codec<number | boolean | string> = {
  encode(w, v) {
    if (typeof v === 'string') {
      w.int(TYPE.string);
      w.string(v);
    } else if (typeof v === 'boolean') {
      w.int(TYPE.boolean);
      w.int(v ? 1 : 0);
    } else {
      w.int(Number.isInteger(v) ? TYPE.counter : TYPE.double);
      (Number.isInteger(v) ? counter : double).encode(w, v);
    }
  },
  decode(r) {
    const type = r.int();
    switch (type) {
      case TYPE.int:
        return int.decode(r);
      case TYPE.uint:
        return uint.decode(r);
      case TYPE.hyper:
        return hyper.decode(r);
      case TYPE.counter:
        return counter.decode(r);
      case TYPE.double:
        return double.decode(r);
      case TYPE.boolean:
        return int.decode(r) !== 0;
      case TYPE.string:
        return string.decode(r);
      default:
        throw unreadable(`a parameter of type ${type}`);
    }
  },
};

/** At most `max` named values. Sent, a whole number is an unsigned 64-bit one. */
export function typedParameters(max: number): Codec<TypedParameters> {
  return list(struct({ name: string, value: typedValue }), max);
}

export type TypedParameters = readonly { readonly name: string; readonly value: ValueOf<typeof typedValue> }[];

/** Typed parameters by name. */
export class ParameterReader {
  readonly #values: ReadonlyMap<string, number | boolean | string>;

  constructor(parameters: TypedParameters) {
    this.#values = new Map(parameters.map(({ name, value }) => [name, value]));
  }

  /** undefined when it is missing or not a number. */
  number(name: string): number | undefined {
    const value = this.#values.get(name);
    return typeof value === 'number' ? value : undefined;
  }

  /** undefined when it is missing or not a text. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === 'string' ? value : undefined;
  }
}
