from .layers import GRU, LSTM, RNN, Dense, Dropout, Embedding, Sequential
