import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../../src-shared/errors.ts';
import { childrenXml, findXml, readXml, textXml } from './read-xml.ts';

describe('readXml', () => {
  it('reads elements, attributes and text', () => {
    const root = readXml(
      `<?xml version="1.0"?><!-- <no/> -->
      <domain type='kvm' id="3"><name> vm0 </name><metadata><lago:prefix xmlns:lago="x">p</lago:prefix></metadata>
      <devices><disk n="1"/><nic/><disk n="2"/></devices></domain>\n`,
    );
    expect(root.name).toBe('domain');
    expect(root.attributes.get('type')).toBe('kvm');
    expect(textXml(root, 'name')).toBe('vm0');
    expect(textXml(root, 'metadata', 'lago:prefix')).toBe('p');
    expect(findXml(root, 'metadata', 'prefix')).toBeUndefined();
    const devices = findXml(root, 'devices');
    expect(devices === undefined ? [] : childrenXml(devices, 'disk').map((disk) => disk.attributes.get('n'))).toEqual(['1', '2']);
  });

  it('decodes the entities of XML, numeric ones and CDATA', () => {
    const root = readXml('<a b="&lt;&quot;&#65;">x &amp; &#x1F600;<![CDATA[<&y;>]]></a>');
    expect(root.attributes.get('b')).toBe('<"A');
    expect(root.text).toBe('x & 😀<&y;>');
  });

  it('keeps element and attribute names from reaching the prototype', () => {
    const root = readXml('<a __proto__="1" constructor="2"><toString/></a>');
    expect(root.attributes.get('__proto__')).toBe('1');
    expect(findXml(root, 'toString')?.name).toBe('toString');
  });

  it('normalizes line ends and white space in attributes as XML requires', () => {
    const root = readXml('\ufeff<a b="1\n2\t3&#10;4">x\r\ny</a>');
    expect(root.attributes.get('b')).toBe('1 2 3\n4');
    expect(root.text).toBe('x\ny');
  });

  it.each([
    ['a document type', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'],
    ['an entity of its own', '<a>&x;</a>'],
    ['an entity named like a property', '<a>&constructor;</a>'],
    ['a bare ampersand', '<a>x & y</a>'],
    ['a zero character', '<a>&#0;</a>'],
    ['half a surrogate pair', '<a>&#xD800;</a>'],
    ['an open element', '<a><b></a>'],
    ['a stray end', '<a></a></b>'],
    ['two roots', '<a/><b/>'],
    ['text outside', '<a/>x'],
    ['nothing', ''],
    ['an attribute twice', '<a b="1" b="2"/>'],
    ['an attribute without quotes', '<a b=1/>'],
    ['an attribute without an end', '<a b="1/>'],
    ['a comment without an end', '<a><!-- </a>'],
    ['attributes without a gap', '<a b="1"c="2"/>'],
    ['a control character', '<a>&#1;</a>'],
    ['an end of CDATA that began nowhere', '<a>]]></a>'],
    ['a declaration that is not the first', ' <?xml version="1.0"?><a/>'],
    ['too many levels', '<a>'.repeat(300) + '</a>'.repeat(300)],
  ])('refuses %s', (_, text) => {
    expect(() => readXml(text)).toThrow(EngineError);
  });

  it('refuses what is too long, with the caller’s subject and code', () => {
    const work = (): unknown => readXml('<a>12345</a>', { what: 'The OVF', code: 'remote.invalid', maxLength: 5 });
    expect(work).toThrow(
      expect.objectContaining({ code: 'remote.invalid', message: expect.stringMatching(/^The OVF/) as string }) as EngineError,
    );
  });

  it('reports the line', () => {
    expect(() => readXml('<a>\n<b>\n&x;</b></a>')).toThrow(/line 3/);
  });

  it('reads or refuses any text', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '/',
      'a',
      ' ',
      '"',
      "'",
      '=',
      '&',
      ';',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
      '<a>',
      '</a>',
      'amp',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        let thrown: unknown;
        try {
          readXml(pieces.join(''));
        } catch (error) {
          thrown = error;
        }
        expect(thrown === undefined || thrown instanceof EngineError).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('takes linear time for hostile input', () => {
    const start = '<a>' + '&amp;'.repeat(200_000);
    expect(readXml(`${start}</a>`).text.length).toBe(200_000);
    expect(() => readXml(`<a ${' '.repeat(500_000)}`)).toThrow(EngineError);
  });
});
