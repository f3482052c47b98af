# Flattens the YAML that seeds are written in to lines "FILE:path TAB value": block mappings and lists, quoted and plain scalars,
# literal blocks (one line each), one-line flow lists and mappings. Lists count from 0: users.0.name
function trim(s) { sub(/^[ \t]+/, "", s); sub(/[ \t\r]+$/, "", s); return s }
function scalar(s) {
  s = trim(s)
  if (s ~ /^("([^"\\]|\\.)*"|'([^']|'')*')[ \t]+#/) {
    match(s, /^("([^"\\]|\\.)*"|'([^']|'')*')/)
    s = substr(s, 1, RLENGTH)
  }
  if (s ~ /^'.*'$/) { s = substr(s, 2, length(s) - 2); gsub(/''/, "'", s); return s }
  if (s ~ /^".*"$/) { s = substr(s, 2, length(s) - 2); gsub(/\\"/, "\"", s); gsub(/\\\\/, "\\", s); return s }
  sub(/[ \t]+#.*$/, "", s)
  return s
}
function path(k,  i, p) {
  p = ""
  for (i = 1; i <= depth; i++) p = p (p == "" ? "" : ".") keys[i]
  return k == "" ? p : p (p == "" ? "" : ".") k
}
function pop_to(indent, items) {
  while (depth > 0 && (indents[depth] > indent || (indents[depth] == indent && (items == 0 || listitem[depth])))) depth--
}
function push(indent, key, item) { depth++; indents[depth] = indent; keys[depth] = key; listitem[depth] = item }
function emit(p, v) { print FILENAME ":" p "\t" v }
function value(p, v,  n, parts, i, kv) {
  v = trim(v)
  if (v ~ /^\[.*\]$/) {
    n = split(substr(v, 2, length(v) - 2), parts, ",")
    for (i = 1; i <= n; i++) if (trim(parts[i]) != "") emit(p "." (i - 1), scalar(parts[i]))
  } else if (v ~ /^\{.*\}$/) {
    n = split(substr(v, 2, length(v) - 2), parts, ",")
    for (i = 1; i <= n; i++) {
      kv = index(parts[i], ":")
      if (kv > 0) value(p "." scalar(substr(parts[i], 1, kv - 1)), substr(parts[i], kv + 1))
    }
  } else emit(p, scalar(v))
}
function node(indent, text,  key, rest, at) {
  if (text ~ /^- / || text == "-") {
    pop_to(indent, 1)
    at = path("")
    push(indent, counts[at] + 0, 1)
    counts[at]++
    rest = substr(text, 2)
    match(rest, /^ */)
    if (RLENGTH < length(rest)) node(indent + 1 + RLENGTH, substr(rest, RLENGTH + 1))
    return
  }
  if (match(text, /^("[^"]*"|'[^']*'|[^ "'\[{#][^:]*|[^ "'\[{#]):( |$)/)) {
    pop_to(indent, 0)
    key = scalar(substr(text, 1, index(text, ":") - 1))
    rest = trim(substr(text, index(text, ":") + 1))
    if (rest == "" || rest ~ /^#/) { push(indent, key, 0); return }
    if (rest ~ /^[|>][-+0-9]*$/) { block = path(key); block_indent = indent; return }
    value(path(key), rest)
    return
  }
  if (depth == 0) return
  if (text ~ /^[|>][-+0-9]*$/) { block = path(""); block_indent = indents[depth]; return }
  value(path(""), text)
}
FNR == 1 { depth = 0; block = ""; split("", counts) }
{
  sub(/\r$/, "")
  match($0, /^ */)
  indent = RLENGTH
  text = substr($0, indent + 1)
}
block != "" {
  if (text == "" || indent > block_indent) { if (text != "") emit(block, text); next }
  block = ""
}
text == "" || text ~ /^#/ || text == "---" { next }
{ node(indent, text) }
