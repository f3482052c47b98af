import type { XmlElement as ReadElement } from './read-xml.ts';

/** One element of an XML document to be written. Everything is escaped on printing. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly (XmlElement | string)[];
}

export type XmlChild = XmlElement | string | undefined | false;

/** Creates an element. Attributes that are undefined and children that are undefined or false are left out. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
  ...children: readonly XmlChild[]
): XmlElement {
  const kept: Record<string, string> = {};
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) kept[key] = String(value);
  return { name, attributes: kept, children: children.filter((child) => child !== undefined && child !== false) };
}

/** An element that was read, to be written again; text beside elements is left out. */
export function copyXml(read: ReadElement): XmlElement {
  const text = read.text.trim();
  return element(read.name, Object.fromEntries(read.attributes), ...(text === '' ? read.children.map(copyXml) : [text]));
}

/** The text of an element and its descendants, indented by two spaces. Elements with text are kept on one line. */
export function printXml(root: XmlElement): string {
  return `${print(root, '')}\n`;
}

function print(node: XmlElement, indent: string): string {
  const attributes = Object.entries(node.attributes).map(([name, value]) => ` ${name}='${escapeXml(value)}'`);
  const open = `${indent}<${node.name}${attributes.join('')}`;
  if (node.children.length === 0) return `${open}/>`;
  if (node.children.every((child) => typeof child === 'string')) return `${open}>${node.children.map(escapeXml).join('')}</${node.name}>`;
  const inner = node.children.map((child) => (typeof child === 'string' ? `${indent}  ${escapeXml(child)}` : print(child, `${indent}  `)));
  return `${open}>\n${inner.join('\n')}\n${indent}</${node.name}>`;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&apos;', '"': '&quot;' };

/** Escapes text for use in an element or attribute. Drops characters that XML 1.0 does not allow. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '')
    .replace(/[&<>'"\t\n\r]/g, (character) => ESCAPES[character] ?? `&#${character.charCodeAt(0)};`);
}
