package dataset

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// idLength is the length of a request id: 32 hexadecimal digits and 4 hyphens.
const idLength = 36

// Position is which record a request id belongs to.
type Position struct {
	Day      int64 // days since 1970-01-01
	Function int
	Index    int
}

// requestIDs encodes positions as request ids and decodes them. A block cipher
// maps different positions to different blocks, so no two records share an id.
// The version and variant bits of RFC 9562 are not set: decoding needs all bits,
// and the API promises no version.
type requestIDs struct {
	block cipher.Block
}

// newRequestIDs derives the key from all its arguments. Two traces with the same
// seed thus have different ids and fit into one archive.
func newRequestIDs(seed uint64, kind string, names []string) (requestIDs, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "request ids\n%d\n%s\n%s", seed, kind, strings.Join(names, "\n")))
	block, err := aes.NewCipher(sum[:16])
	if err != nil {
		return requestIDs{}, fmt.Errorf("prepare request ids: %w", err)
	}
	return requestIDs{block: block}, nil
}

// append appends the id of the record at p. It encrypts in the tail of dst, which
// saves an allocation per id.
func (ids requestIDs) append(dst []byte, p Position) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, idLength)...)
	id := dst[at : at+idLength : at+idLength]
	block := id[idLength-aes.BlockSize:]
	binary.BigEndian.PutUint32(block[0:4], uint32(p.Day))
	binary.BigEndian.PutUint32(block[4:8], uint32(p.Function))
	binary.BigEndian.PutUint64(block[8:16], uint64(p.Index))
	ids.block.Encrypt(block, block)

	var raw [aes.BlockSize]byte
	copy(raw[:], block)
	hex.Encode(id[0:8], raw[0:4])
	hex.Encode(id[9:13], raw[4:6])
	hex.Encode(id[14:18], raw[6:8])
	hex.Encode(id[19:23], raw[8:10])
	hex.Encode(id[24:36], raw[10:16])
	id[8], id[13], id[18], id[23] = '-', '-', '-', '-'
	return dst
}

// decode returns the position of an id, or false for a text that append does not
// produce. The position may lie outside the data.
func (ids requestIDs) decode(id string) (Position, bool) {
	if len(id) != idLength || strings.ToLower(id) != id ||
		id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return Position{}, false
	}
	raw, err := hex.DecodeString(id[0:8] + id[9:13] + id[14:18] + id[19:23] + id[24:36])
	if err != nil {
		return Position{}, false
	}
	ids.block.Decrypt(raw, raw)
	index := binary.BigEndian.Uint64(raw[8:16])
	if index > 1<<32 {
		return Position{}, false
	}
	return Position{
		Day:      int64(int32(binary.BigEndian.Uint32(raw[0:4]))),
		Function: int(binary.BigEndian.Uint32(raw[4:8])),
		Index:    int(index),
	}, true
}

// RequestID is the request id of the record at p.
func (d *Data) RequestID(p Position) string { return string(d.ids.append(nil, p)) }

// AppendRequestID appends the request id of the record at p.
func (d *Data) AppendRequestID(dst []byte, p Position) []byte { return d.ids.append(dst, p) }
