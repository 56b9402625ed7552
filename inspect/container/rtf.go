package container

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// rtf looks through Rich Text Format for objects: \objdata holds an OLE object as
// hexadecimal digits. Like Word it takes them wherever in the group they stand, whatever
// stands between them.
func (l *level) rtf() {
	data := l.data
	if wide(data) {
		data = narrow(data)
	}
	var object []byte
	depth, digits := 0, 0 // of groups; digits of the object under way
	objectDepth, start, objects := 0, 0, 0
	finish := func() {
		l.rtfObject(objects, start, object)
		objects++
		object, digits, objectDepth = object[:0], 0, 0
	}
	for i := 0; i < len(data) && !l.spent; i++ {
		switch c := data[i]; {
		case c == '{':
			depth++
		case c == '}':
			if depth--; objectDepth > 0 && depth < objectDepth {
				finish()
			}
		case c == '\\':
			word, number, n := controlWord(data[i:])
			switch word {
			case "objdata":
				if objectDepth > 0 {
					finish()
				}
				objectDepth, start = max(depth, 1), i
			case "objupdate", "objautlink":
				l.found("ole-update", i, "")
			case "bin":
				raw := data[min(i+n, len(data)):min(i+n+number, len(data))]
				if objectDepth > 0 {
					object = append(object, raw...)
				}
				n += len(raw)
			}
			i += n - 1
		case objectDepth > 0 && hexDigit(c):
			if digits++; digits%2 == 1 {
				object = append(object, unhex(c)<<4)
			} else {
				object[len(object)-1] |= unhex(c)
			}
		}
	}
	if objectDepth > 0 {
		finish()
	}
}

// controlWord reads the control word or symbol that begins p: its name in lower case,
// its number if it is not negative, and its length with the space after it.
func controlWord(p []byte) (word string, number, n int) {
	n = 1
	for n < len(p) && n < 33 && isLetter(p[n]) {
		n++
	}
	if n == 1 {
		if len(p) > 3 && p[1] == '\'' {
			return "", 0, 4
		}
		return "", 0, min(2, len(p))
	}
	word = strings.ToLower(string(p[1:n]))
	negative := n < len(p) && p[n] == '-'
	if negative {
		n++
	}
	for digits := 0; n < len(p) && p[n] >= '0' && p[n] <= '9' && digits < 9; digits++ {
		number = 10*number + int(p[n]-'0')
		n++
	}
	if negative {
		number = 0
	}
	if n < len(p) && p[n] == ' ' {
		n++
	}
	return word, number, n
}

func hexDigit(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// rtfObject judges an object by its class, and opens what it holds.
func (l *level) rtfObject(index, at int, object []byte) {
	it := item{index: index, offset: at}
	class, data, ok := ole1Object(object)
	switch {
	case strings.HasPrefix(class, "equation"):
		l.found("equation-editor", at, "class of an object")
	case class == "package":
		l.found("ole-package", at, "embedded file")
		if ok {
			l.packageObject(it, data)
			return
		}
	case len(object) > 0:
		l.found("embedded-object", at, "")
	}
	if ok {
		object = data
	}
	l.member(it, bytes.NewReader(object))
}

// ole1Object reads an embedded object of OLE 1.0 (MS-OLEDS §2.2.5): its class,
// in lower case, and its data.
func ole1Object(p []byte) (class string, data []byte, ok bool) {
	le := binary.LittleEndian
	if len(p) < 12 {
		return "", nil, false
	}
	p = p[8:] // version, format
	for i := range 3 {
		if len(p) < 4 {
			return class, nil, false
		}
		n := int64(le.Uint32(p))
		if p = p[4:]; n > int64(len(p)) || n > 4096 {
			return class, nil, false
		}
		if i == 0 {
			class = strings.ToLower(strings.TrimRight(string(p[:n]), "\x00"))
		}
		p = p[n:] // then topic and item
	}
	if len(p) < 4 {
		return class, nil, false
	}
	n := min(int64(le.Uint32(p)), int64(len(p)-4))
	return class, p[4 : 4+n], true
}
