/* A driver from before the copy engine: temper says what it lacks, and what to do. */
int cuInit(unsigned flags) {
  (void)flags;
  return 0;
}
