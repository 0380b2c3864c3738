// Package answer decodes the JSON answers of the clouds' APIs into values that
// PostgreSQL can store. It tolerates values of unexpected types. The fields of
// each API are decoded in the package of its source.
package answer
