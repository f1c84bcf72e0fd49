"""Trains a relation classifier from random weights and saves it.

    python train.py TRAIN DEV MODEL_OUT TOKENIZER [EPOCHS]

TRAIN and DEV: KLUE JSON, JSON Lines or the competition's CSV. TOKENIZER: a folder with vocab.txt, or a vocab.txt.
Progress goes to stderr; the figures on DEV to stdout.
"""

import sys

import kluere

if len(sys.argv) not in (5, 6):
    sys.exit(__doc__)
train_file, dev_file, model_folder, tokenizer_path = sys.argv[1:5]
epochs = float(sys.argv[5]) if len(sys.argv) == 6 else 3

# README-BEGIN
train = kluere.Dataset.read(train_file)
dev = kluere.Dataset.read(dev_file)

model = kluere.Model.create(kluere.Tokenizer(tokenizer_path))  # RoBERTa, 4 layers of width 256
# Random weights want more than the 5e-5 of fine-tuning.
trainer = kluere.Trainer(model, train, dev, epochs=epochs, learning_rate=3e-4)
trainer.run(progress=True)

trained = trainer.export_model()
print(kluere.evaluate(trained, dev))
trained.save(model_folder)
# README-END
