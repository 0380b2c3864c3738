// Package answer reads what a cloud's API answers, whatever its shape: JSON of
// any kind, out of which come values that PostgreSQL can hold. What is
// particular to one API is in that source's own package.
package answer
