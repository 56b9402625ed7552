package container

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"strconv"
)

// pdfKey decrypts streams of a PDF that is encrypted under the empty user
// password. Every reader opens it without asking: it restricts printing or copying, which makers
// of reports do, and hides nothing (ISO 32000-1 §7.6.3, ISO 32000-2 §7.6.4).
type pdfKey struct {
	key []byte
	aes bool
}

// encryption is the encryption dictionary of the standard security handler.
type encryption struct {
	version, revision, length int
	owner, user, userKey      []byte // O, U, UE
	permissions               int
	plainMetadata, aes        bool
	id                        []byte // first half of the file's
}

// pdfKey returns the key of an encrypted PDF; nil if it needs a password, or is
// encrypted otherwise.
func (l *level) pdfKey() *pdfKey {
	e, ok := readEncryption(l.data)
	if !ok {
		return nil
	}
	var key []byte
	switch {
	case e.revision >= 5:
		key = e.key256()
	case e.revision >= 2:
		key = e.key128()
	}
	if key == nil {
		return nil
	}
	return &pdfKey{key: key, aes: e.aes}
}

// longestEncryption is how far an encryption dictionary is read.
const longestEncryption = 4096

// readEncryption finds the dictionary that the last /Encrypt leads to.
func readEncryption(data []byte) (e encryption, ok bool) {
	at := bytes.LastIndex(data, []byte("/Encrypt "))
	if at < 0 {
		at = bytes.LastIndex(data, []byte("/Encrypt<"))
	}
	if at < 0 {
		return e, false
	}
	dictionary := data[at+len("/Encrypt"):]
	reference := bytes.Fields(dictionary[:min(len(dictionary), 40)])
	if len(reference) >= 2 && reference[0][0] != '<' {
		if dictionary, ok = indirect(data, string(reference[0])+" "+string(reference[1])+" obj"); !ok {
			return e, false
		}
	}
	d := pdfDictionary(dictionary[:min(len(dictionary), longestEncryption)])
	e = encryption{
		version: d.number("/V"), revision: d.number("/R"), length: d.number("/Length"), permissions: d.number("/P"),
		owner: d.str("/O"), user: d.str("/U"), userKey: d.str("/UE"),
		plainMetadata: bytes.Contains(d, []byte("/EncryptMetadata false")), aes: bytes.Contains(d, []byte("/AESV")),
	}
	if id := bytes.LastIndex(data, []byte("/ID")); id >= 0 {
		e.id = pdfDictionary(data[id:min(len(data), id+longestEncryption)]).str("/ID")
	}
	return e, bytes.Contains(d, []byte("/Standard"))
}

// indirect returns what follows the head of an object.
func indirect(data []byte, head string) ([]byte, bool) {
	for from := 0; ; {
		i := bytes.Index(data[from:], []byte(head))
		if i < 0 {
			return nil, false
		}
		at := from + i
		from = at + len(head)
		if at == 0 || data[at-1] <= ' ' {
			return data[from:], true
		}
	}
}

// pdfDictionary is the text of a dictionary.
type pdfDictionary []byte

// value returns what follows a key of the dictionary.
func (d pdfDictionary) value(key string) []byte {
	for from := 0; ; {
		i := bytes.Index(d[from:], []byte(key))
		if i < 0 {
			return nil
		}
		from += i + len(key)
		if rest := d[from:]; len(rest) > 0 && (!regular(rest[0]) || rest[0] <= ' ') {
			return bytes.TrimLeft(rest, " \t\r\n[")
		}
	}
}

func (d pdfDictionary) number(key string) int {
	v := d.value(key)
	n := 0
	for n < len(v) && n < 12 && (v[n] == '-' || v[n] >= '0' && v[n] <= '9') {
		n++
	}
	number, _ := strconv.Atoi(string(v[:n])) // none is 0
	return number
}

// str reads the string that is the value of key (ISO 32000-1 §7.3.4).
func (d pdfDictionary) str(key string) (s []byte) {
	v := d.value(key)
	switch {
	case len(v) == 0:
		return nil
	case v[0] == '<':
		return hexString(v[1:])
	case v[0] != '(':
		return nil
	}
	depth := 0
	for i := 1; i < len(v); i++ {
		c := v[i]
		switch {
		case c == '\\' && i+1 < len(v):
			i++
			if c, i = escaped(v, i); c == '\n' && v[i] == '\n' {
				continue // the line goes on
			}
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return s
			}
		}
		s = append(s, c)
	}
	return nil
}

// escaped reads the escape sequence behind the backslash before byte i, and
// returns where it ends.
func escaped(v []byte, i int) (byte, int) {
	if at := bytes.IndexByte([]byte("nrtbf"), v[i]); at >= 0 {
		return "\n\r\t\b\f"[at], i
	}
	if v[i] < '0' || v[i] > '7' {
		return v[i], i
	}
	octal := 0
	n := i
	for ; n < len(v) && n < i+3 && v[n] >= '0' && v[n] <= '7'; n++ {
		octal = 8*octal + int(v[n]-'0')
	}
	return byte(octal), n - 1
}

func hexString(v []byte) (s []byte) {
	high, half := byte(0), false
	for _, c := range v {
		switch {
		case c == '>':
			return s
		case !hexDigit(c):
		case half:
			s, half = append(s, high<<4|unhex(c)), false
		default:
			high, half = unhex(c), true
		}
	}
	return nil
}

// padding stands for the empty password (§7.6.3.3, algorithm 2).
const padding = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"

// key128 derives the key of up to 128 bits from the empty password, and checks
// it (algorithms 2, 4, 5 and 6).
func (e *encryption) key128() []byte {
	size := 5
	if e.revision >= 3 && e.length >= 40 && e.length <= 128 {
		size = e.length / 8
	}
	if e.version >= 4 {
		size = 16
	}
	if len(e.owner) < 32 || len(e.user) < 32 {
		return nil
	}
	h := md5.New()
	h.Write([]byte(padding))
	h.Write(e.owner[:32])
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(e.permissions)))
	h.Write(e.id)
	if e.revision >= 4 && e.plainMetadata {
		h.Write([]byte("\xFF\xFF\xFF\xFF"))
	}
	key := h.Sum(nil)
	if e.revision >= 3 {
		for range 50 {
			sum := md5.Sum(key[:size])
			key = sum[:]
		}
	}
	if key = key[:size]; !bytes.Equal(e.check(key), e.user[:len(e.check(key))]) {
		return nil
	}
	return key
}

// check returns what U begins with under the key.
func (e *encryption) check(key []byte) []byte {
	if e.revision == 2 {
		return cryptRC4(key, []byte(padding))
	}
	sum := md5.Sum(append([]byte(padding), e.id...))
	out := sum[:]
	for i := range 20 {
		round := bytes.Clone(key)
		for j := range round {
			round[j] ^= byte(i)
		}
		out = cryptRC4(round, out)
	}
	return out
}

// key256 recovers the key of 256 bits under the empty password, if that is right (ISO
// 32000-2 §7.6.4.3.3, algorithm 2.A).
func (e *encryption) key256() []byte {
	if len(e.user) < 48 || len(e.userKey) < 32 {
		return nil
	}
	hash := hardened
	if e.revision == 5 {
		hash = func(salt []byte) []byte { sum := sha256.Sum256(salt); return sum[:] }
	}
	if !bytes.Equal(hash(e.user[32:40]), e.user[:32]) {
		return nil
	}
	key := make([]byte, 32)
	cbc(hash(e.user[40:48]), make([]byte, 16), false, key, e.userKey[:32])
	return key
}

// hardened is the hash of algorithm 2.B for the empty password.
func hardened(salt []byte) []byte {
	sum := sha256.Sum256(salt)
	k := sum[:]
	for round, last := 0, 0; round < 64 || last > round-32; round++ {
		text := bytes.Repeat(k, 64)
		cbc(k[:16], k[16:32], true, text, text)
		rest := 0
		for _, b := range text[:16] {
			rest += int(b)
		}
		switch rest % 3 {
		case 0:
			h := sha256.Sum256(text)
			k = h[:]
		case 1:
			h := sha512.Sum384(text)
			k = h[:]
		case 2:
			h := sha512.Sum512(text)
			k = h[:]
		}
		last = int(text[len(text)-1])
	}
	return k[:32]
}

// decrypt returns the content of a stream of an object (algorithms 1 and 1.A).
func (k *pdfKey) decrypt(p []byte, number, generation int) []byte {
	key := k.key
	if len(key) < 32 {
		salted := append(bytes.Clone(key), byte(number), byte(number>>8), byte(number>>16), byte(generation), byte(generation>>8))
		if k.aes {
			salted = append(salted, "sAlT"...)
		}
		sum := md5.Sum(salted)
		key = sum[:min(len(k.key)+5, 16)]
	}
	if !k.aes {
		return cryptRC4(key, p)
	}
	if len(p) < 32 {
		return nil
	}
	out := make([]byte, (len(p)-16)&^15)
	cbc(key, p[:16], false, out, p[16:16+len(out)])
	return out[:len(out)-min(int(out[len(out)-1]), 16)]
}

func cryptRC4(key, p []byte) []byte {
	out := make([]byte, len(p))
	if c, err := rc4.NewCipher(key); err == nil { // keys are of 5 to 16 bytes
		c.XORKeyStream(out, p)
	}
	return out
}

// cbc runs AES over whole blocks.
func cbc(key, iv []byte, encrypt bool, out, p []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return // keys are of 16 or 32 bytes
	}
	if encrypt {
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, p)
		return
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, p)
}
