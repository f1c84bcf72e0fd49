internal import CKluereSupport
package import KluereBase
package import KluereCompute
internal import KluereData
package import KluereFormats
internal import KluereText

/// What a caller may ask of `Model.open`; see kluere_model_open_options.
package struct ModelOpenOptions: Sendable {
  package var inputForm: InputForm?
  package var maxTokens: Int?
  package var readIntoMemory = false
  package var seed: UInt64 = 42
  package var labels: [String]?

  package init() {}
}

extension Model {
  static let weightsName = WeightFiles.safetensors
  /// Every file that a model folder of ours may hold; others in a folder to be replaced are refused rather than lost.
  package static let fileNames: Set<String> = [
    ConfigFile.name, KluereFile.name, weightsName, TokenizerFolder.vocabularyName, TokenizerFolder.configurationName,
    TokenizerFolder.specialTokensName, TokenizerFolder.addedTokensName,
  ]

  // MARK: Opening

  /// Opens a folder of kluere's or of Hugging Face's BERT and RoBERTa encoders and sequence classifiers.
  package static func open(
    context: Context, directory: String, options: ModelOpenOptions
  ) throws(KluereError) -> Model {
    try AtomicDirectory.recover(directory)
    guard ks_path_kind(directory) == 2 else {
      throw KluereError(.io, "\(directory): there is no such folder")
    }
    let configPath = directory + "/" + ConfigFile.name
    var config = try ConfigFile(try Files.readAll(configPath), path: configPath)
    let tokenizer = try TokenizerFolder.open(directory, addedSpecialTokens: [])
    guard tokenizer.vocabularySize <= config.configuration.vocabularySize else {
      throw KluereError(
        .badFormat,
        "\(directory): the tokenizer has \(tokenizer.vocabularySize) pieces, \(ConfigFile.name) says vocab_size "
          + "\(config.configuration.vocabularySize)")
    }
    let kluerePath = directory + "/" + KluereFile.name
    if ks_path_kind(kluerePath) == 1 {
      let file = try KluereFile(try Files.readAll(kluerePath), path: kluerePath)
      config.labels = file.labels
      config.configuration.inputForm = file.inputForm
      config.configuration.maxTokens = file.maxTokens
    }
    if let form = options.inputForm { config.configuration.inputForm = form }
    if let maximum = options.maxTokens { config.configuration.maxTokens = maximum }
    try config.configuration.validate()

    let files = try WeightFiles(directory: directory, readIntoMemory: options.readIntoMemory)
    let labels = try chooseLabels(config, options, files)
    let layout = try ParameterLayout(config.configuration, labelCount: labels.count)
    let (weights, missing) = try readWeights(
      files, layout, config.configuration, context, seed: options.seed)
    return try Model(
      context: context, configuration: config.configuration, tokenizer: tokenizer, labels: labels, layout: layout,
      weights: weights, newlyInitialized: missing)
  }

  /// The caller's labels, else kluere.json's or config.json's names, else KLUE's 30 for a folder without a head, else
  /// generic names for a head whose labels nobody named.
  private static func chooseLabels(
    _ config: ConfigFile, _ options: ModelOpenOptions, _ files: WeightFiles
  ) throws(KluereError) -> LabelSet {
    if let names = options.labels ?? config.labels { return try LabelSet(names) }
    let head = config.configuration.family == .bert ? "classifier.weight" : "classifier.out_proj.weight"
    guard let tensor = files.tensor(head) else { return .klue }
    let rows = tensor.shape.first ?? 0
    if rows == LabelSet.klue.count { return .klue }
    guard rows > 0, rows <= 100_000 else {
      throw KluereError(.badFormat, "\(tensor.path): \(head): shape \(tensor.shape), expected [labels, hidden]")
    }
    return try LabelSet((0..<rows).map { "LABEL_\($0)" })
  }

  /// The weights, most of them still in the file. Tensors of the head may be missing: they are made at random and named.
  private static func readWeights(
    _ files: WeightFiles, _ layout: ParameterLayout, _ configuration: ModelConfiguration,
    _ context: Context, seed: UInt64
  ) throws(KluereError) -> (ModelWeights, [Bool]) {
    // All tensors are looked up before memory is taken: a configuration that claims a huge model without having it is
    // refused at no cost.
    var sources: [StoredTensor?] = []
    for slot in layout.tensors {
      guard let tensor = names(of: slot.name, configuration.family).lazy.compactMap({ files.tensor($0) }).first else {
        let head = slot.name.hasPrefix("classifier.") || slot.name.hasPrefix("bert.pooler.")
        guard head else { throw KluereError(.badFormat, "\(files.path): tensor \(slot.name) is missing") }
        sources.append(nil)
        continue
      }
      let expected = slot.rank == 1 ? [slot.rows] : [slot.rows, slot.columns]
      guard tensor.shape == expected else {
        throw KluereError(
          .badFormat, "\(tensor.path): \(tensor.name): shape \(tensor.shape), the configuration needs \(expected)")
      }
      guard tensor.type.isFloat else {
        throw KluereError(
          .unsupported,
          "\(tensor.path): \(tensor.name): type \(tensor.type.rawValue), expected F32, F16, BF16 or F64")
      }
      sources.append(tensor)
    }

    let weights = try FloatStorage(count: layout.count, on: context.backend, for: "weights")
    var initializer = WeightInitializer(seed: seed, deviation: configuration.initializerRange)
    var missingNames: [String] = []
    for (slot, source) in zip(layout.tensors, sources) where source == nil {
      try initializer.fill(slot, in: weights, on: context.backend)
      missingNames.append(slot.name)
    }
    if !missingNames.isEmpty {
      context.log(
        .warning, "\(files.path): not in the file and initialised at random: \(missingNames.joined(separator: ", "))")
    }
    return (
      ModelWeights(arena: weights, layout, pending: sources, on: context.backend), sources.map { $0 == nil }
    )
  }

  /// Names under which a tensor may stand: ours, without the family's prefix (AutoModel saves so), and with the older
  /// LayerNorm.gamma and beta.
  private static func names(of name: String, _ family: ModelFamily) -> [String] {
    var names = [name]
    let prefix = family.name + "."
    if name.hasPrefix(prefix) { names.append(String(name.dropFirst(prefix.count))) }
    for name in names {
      if name.hasSuffix("LayerNorm.weight") { names.append(name.dropLast("weight".count) + "gamma") }
      if name.hasSuffix("LayerNorm.bias") { names.append(name.dropLast("bias".count) + "beta") }
    }
    return names
  }

  // MARK: Saving

  /// Writes the folder beside its place and swaps it in. `extra`: further files of a checkpoint.
  package func save(
    _ directory: String, libraryVersion: String, extra: [ExtraFile] = [], weights other: FloatStorage? = nil
  ) throws(KluereError) {
    // ?? would lose the error's type.
    let arena: FloatStorage
    if let other { arena = other } else { arena = try weights.whole() }
    let target = try AtomicDirectory(directory, replacing: Model.fileNames.union(extra.map(\.name)))
    do throws(KluereError) {
      try write(to: target, libraryVersion, weights: arena)
      for file in extra { try file.write(target) }
      try target.commit()
    } catch {
      target.abort()
      throw error
    }
  }

  /// A file that goes into the folder along with the model's.
  package struct ExtraFile {
    package let name: String
    package let write: (AtomicDirectory) throws(KluereError) -> Void

    package init(_ name: String, _ write: @escaping (AtomicDirectory) throws(KluereError) -> Void) {
      self.name = name
      self.write = write
    }
  }

  private func write(
    to target: AtomicDirectory, _ libraryVersion: String, weights: FloatStorage
  ) throws(KluereError) {
    let config = ConfigFile(configuration: configuration, labels: labels.names)
    try target.add(
      ConfigFile.name, config.encoded(bosTokenID: tokenizer.clsID, eosTokenID: tokenizer.sepID))
    let file = KluereFile(
      labels: labels.names, inputForm: configuration.inputForm, maxTokens: configuration.maxTokens)
    try target.add(KluereFile.name, file.encoded(libraryVersion: libraryVersion))
    for file in TokenizerFolder.files(tokenizer) { try target.add(file.name, file.bytes) }
    try writeTensors(Model.weightsName, to: target, named: layout, from: weights)
  }

  /// One safetensors file with a tensor for each of the layout, from an arena of its shape.
  package func writeTensors(
    _ name: String, to target: AtomicDirectory, named layout: ParameterLayout, from arena: FloatStorage
  ) throws(KluereError) {
    // A device arena comes to the host first; the CPU's is read where it lies.
    try Safetensors.write(
      name, to: target,
      tensors: layout.tensors.map { slot in
        Safetensors.FloatTensor(
          name: slot.name, shape: slot.rank == 1 ? [slot.rows] : [slot.rows, slot.columns],
          values: UnsafeBufferPointer(start: arena.pointer + slot.offset, count: slot.count))
      })
  }
}
