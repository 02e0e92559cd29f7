/* The clock of everything that takes long. */
#ifndef WEIR_MODELS_TRAINING_CLOCK_H
#define WEIR_MODELS_TRAINING_CLOCK_H

/* Seconds of a clock that only goes forward. From any thread. */
double nf__clock(void);

#endif
